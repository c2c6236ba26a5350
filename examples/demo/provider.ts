// The outside provider, a process of its own: charges once for each idempotency key and logs every request, before it
// answers, to a file that survives it. Like a real one it fails now and then, sometimes after it has charged.
import { randomUUID } from "node:crypto";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { ProviderEntry } from "./account.ts";

const file = process.env["PROVIDER_LOG"] as string;
const charged = new Map<string, string>();
if (existsSync(file)) {
  for (const line of readFileSync(file, "utf8").split("\n")) {
    if (line === "") continue;
    const { side, kind, key, id } = JSON.parse(line) as ProviderEntry;
    if (id !== undefined) charged.set(`${side} ${kind} ${key}`, id);
  }
}

const server = createServer(async (req, res) => {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  const [, side = "", kind = ""] = (req.url ?? "").split("/");
  const key = String(req.headers["idempotency-key"]);
  const { event } = JSON.parse(Buffer.concat(chunks).toString()) as { event: string };
  const account = `${side} ${kind} ${key}`;
  const known = charged.get(account);
  const luck = Math.random();
  const log = (entry: Partial<ProviderEntry>): void =>
    appendFileSync(file, `${JSON.stringify({ side, kind, key, event, charged: false, ...entry })}\n`);
  await new Promise((resolve) => setTimeout(resolve, 20 + 40 * Math.random()));
  if (known === undefined && luck < 0.02) {
    log({});
    res.writeHead(500).end();
    return;
  }
  const id = known ?? `${kind}_${randomUUID()}`;
  charged.set(account, id);
  log({ id, charged: known === undefined });
  // Charged, and the answer is lost: the caller cannot know.
  if (known === undefined && luck < 0.03) res.destroy();
  else res.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ id }));
});
server.listen(0, "127.0.0.1", () => {
  process.send?.({ url: `http://127.0.0.1:${(server.address() as { port: number }).port}` });
});
process.once("SIGTERM", () => process.exit(0));
