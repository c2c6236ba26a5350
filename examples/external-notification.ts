// External notification: a partner is told by webhook. Their gateway is down, then loses our answer; they act on it once all the same.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Nevertwice } from "nevertwice";
import { toNode } from "nevertwice/node";
import { signStandardWebhook, standardWebhooks } from "nevertwice/sources";
import { openDatabase } from "./shared/database.ts";

await using database = await openDatabase(`
  create table sent (invoice text); -- no keys: they would show what takes effect twice
  create table partner_invoice (invoice text, cents int);
`);
const secret = `whsec_${Buffer.from("a secret that both of us know").toString("base64")}`;

// The partner, in tables of their own. They might as well run anything else that follows standardwebhooks.com.
const partner = new Nevertwice({ database: database.url, schema: "partner" });
const inbox = partner.inbox("us", standardWebhooks({ secret }));
inbox.on("invoice.created", { consumer: "book" }, ({ invoice, cents }: any, { tx }) =>
  tx.query("insert into partner_invoice values ($1, $2)", [invoice, cents]),
);
let requests = 0;
const gateway = toNode(async (request: Request) => {
  if (++requests === 1) return new Response(null, { status: 503 });
  const answer = await inbox.receive(request);
  // They have it, and we do not know.
  return requests === 2 ? new Response(null, { status: 504 }) : answer;
});
const server = createServer(gateway);
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

// Us.
const nt = new Nevertwice({ database: database.url });
const notify = nt.job(
  "notify-partner",
  { retry: { maxAttempts: 10, baseMs: 50 } },
  async ({ invoice, cents }: { invoice: string; cents: number }, { step, tx }) => {
    await step.run("post", async ({ idempotencyKey, signal }) => {
      const body = JSON.stringify({ type: "invoice.created", invoice, cents });
      // The id is the same for every attempt: by it they know a copy.
      const headers = signStandardWebhook(body, secret, idempotencyKey, Date.now());
      const answer = await fetch(url, { method: "POST", headers, body, signal });
      if (!answer.ok) throw new Error(`the partner answered ${answer.status}`);
    });
    await tx.query("insert into sent values ($1)", [invoice]);
  },
);

await Promise.all([nt.start(), partner.start()]);
const input = { invoice: "2026-77", cents: 9_900 };
const enqueued = await Promise.all([
  notify.enqueue(input, { key: input.invoice }),
  notify.enqueue(input, { key: input.invoice }),
]);
await enqueued[0].result({ timeoutMs: 30_000 });
await database.settled("partner");
await Promise.all([nt.stop(), partner.stop()]);
server.close();

assert.equal(requests, 3);
assert.deepEqual(await database.rows("select * from sent"), [{ invoice: "2026-77" }]);
assert.deepEqual(await database.rows("select * from partner_invoice"), [input]);
console.log(
  `external-notification: enqueued ${enqueued.length} times, ${requests} requests, the partner booked it once`,
);
