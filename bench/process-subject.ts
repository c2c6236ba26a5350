// Nevertwice working off waiting jobs, a process of its own. Prints its figures as JSON.
import pg from "pg";
import { Nevertwice } from "nevertwice";
import { percentile } from "./rounds.ts";

const { DATABASE_URL: url, BENCH_CASE: name } = process.env as Record<string, string>;
const count = Number(process.env["BENCH_COUNT"]);
const rows = name === "tx-hot-1000" ? 1_000 : name === "tx-hot-100" ? 100 : 200_000;
const pool = new pg.Pool({ connectionString: url, max: 2 });
// No pooler stands between, so statements may be prepared: the setting for speed, as the peer has its own.
const nt = new Nevertwice({ database: url, schema: "bench_process", preparedStatements: true });
const sentAt = new Map<number, number>();
const waits: number[] = [];
let done = 0;
let finish = (): void => {};
const all = new Promise<void>((resolve) => (finish = resolve));
// At its best, as the peer is: more handlers at once make larger groups, and on few rows more of them wait for each other.
const concurrency = name === "latency" ? 10 : name === "tx-hot-100" ? 100 : 200;
nt.on<{ i: number }>("job", { consumer: "job", concurrency }, async ({ i }, { tx }) => {
  if (name === "latency") waits.push(performance.now() - (sentAt.get(i) ?? 0));
  else if (name !== "noop") await tx.query("update bench_row set n = n + 1 where id = $1", [i % rows]);
  if (++done === count) finish();
});
await nt.ready();
if (name === "latency") {
  await nt.start();
  for (let i = 0; i < count; i++) {
    sentAt.set(i, performance.now());
    void nt.send("job", { i });
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await all;
  console.log(JSON.stringify({ value: 100, p50Ms: percentile(waits, 50), p99Ms: percentile(waits, 99) }));
} else {
  const order = Array.from({ length: count }, (_, i) => i).sort(() => Math.random() - 0.5);
  for (let i = 0; i < count; i += 2_000)
    await nt.sendMany(order.slice(i, i + 2_000).map((n) => ({ topic: "job", payload: { i: n } })));
  await pool.query("analyze bench_process.delivery");
  await pool.query("checkpoint");
  const began = performance.now();
  await nt.start();
  await all;
  while ((await pool.query("select from bench_process.delivery limit 1")).rows.length > 0)
    await new Promise((resolve) => setTimeout(resolve, 2));
  console.log(JSON.stringify({ value: (count * 1_000) / (performance.now() - began) }));
}
await nt.stop();
await pool.end();
