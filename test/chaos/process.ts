// One process of the product under chaos: a worker, or the server that accepts. Told what to be by its environment.
import { Nevertwice } from "../../src/index.ts";
import { serve } from "../../src/server/app.ts";
import { keepingLogger } from "../support/logger.ts";
import { Points, report, withFailpoints } from "./failpoints.ts";
import { declare } from "./handlers.ts";
import { chaosStore, comesUp } from "./process-setup.ts";

const { CHAOS_ROLE, CHAOS_PROVIDER = "", CHAOS_LEASE_MS } = process.env;
const logger = keepingLogger();
const points = new Points();
const store = await chaosStore({ schema: "nevertwice", logger });
const nt = new Nevertwice({ database: withFailpoints(store, points), logger, leaseMs: Number(CHAOS_LEASE_MS) });
declare(nt, points, CHAOS_PROVIDER);
await comesUp(nt);
if (CHAOS_ROLE === "server") {
  const { url } = await serve(nt, { port: 0, host: "127.0.0.1" });
  report({ ready: true, url });
} else {
  await nt.start();
  report({ ready: true });
}
