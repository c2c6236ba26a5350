// Takes the shop's webhooks. Accepts and records; the workers do the work.
import { serve } from "nevertwice/server";
import { nt } from "./nt.ts";

await nt.ready();
const { url, close } = await serve(nt, { port: Number(process.env["PORT"] ?? 4800), elsewhere: true });
process.once(
  "SIGTERM",
  () =>
    void close()
      .then(() => nt.stop())
      .then(() => process.exit(0)),
);
process.send?.({ url });
console.log(`shop: listening on ${url}`);
