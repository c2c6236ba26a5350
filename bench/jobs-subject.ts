// Nevertwice's jobs, a process of their own. Prints its figures as JSON.
//   single    one `enqueue` a call, 50 in flight
//   bulk      `enqueueMany`, 1,000 a call
//   batch     a batch handler that makes one statement of its members
//   waiting   jobs worked off while BENCH_BEHIND more wait
//   latency   from `enqueue` to the handler's start, 100 jobs a second
import pg from "pg";
import { Nevertwice } from "nevertwice";
import { percentile } from "./rounds.ts";

const { DATABASE_URL: url, BENCH_CASE: name } = process.env as Record<string, string>;
const count = Number(process.env["BENCH_COUNT"]);
const behind = Number(process.env["BENCH_BEHIND"]);
const pool = new pg.Pool({ connectionString: url, max: 2 });
const nt = new Nevertwice({ database: url, schema: "bench_jobs", preparedStatements: true });
const sentAt = new Map<number, number>();
const waits: number[] = [];
let done = 0;
let began = performance.now();
let finish = (): void => {};
const all = new Promise<void>((resolve) => (finish = resolve));
// What a start costs is not what is measured: the clock runs from the thousandth on.
const WARM = name === "waiting" ? 1_000 : 0;
const SHAPE = { concurrency: name === "latency" ? 10 : name === "batch" ? 2 : 200 };
const job = nt.job<{ i: number }, void>("job", SHAPE, ({ i }) => {
  if (name === "latency") waits.push(performance.now() - (sentAt.get(i) ?? 0));
  done++;
  if (done === WARM) began = performance.now();
  if (done === WARM + count) finish();
});
if (name === "batch") {
  job.onBatch({ size: 500, concurrency: 2 }, async (members, { tx }) => {
    const ids = members.map((one) => one.event.i);
    await tx.query("update bench_row set n = n + 1 where id = any ($1::int[])", [ids]);
    done += members.length;
    if (done === count) finish();
  });
}
await nt.ready();
const perSecond = (): number => (count * 1_000) / (performance.now() - began);

if (name === "single") {
  await inFlight(2_000);
  began = performance.now();
  await inFlight(count);
  console.log(JSON.stringify({ value: perSecond() }));
} else if (name === "bulk") {
  await fill(2_000);
  began = performance.now();
  await fill(count);
  console.log(JSON.stringify({ value: perSecond() }));
} else if (name === "latency") {
  await nt.start();
  for (let i = 0; i < count; i++) {
    sentAt.set(i, performance.now());
    void job.enqueue({ i });
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await all;
  console.log(JSON.stringify({ value: 100, p50Ms: percentile(waits, 50), p99Ms: percentile(waits, 99) }));
} else {
  await fill(WARM + count + behind);
  await pool.query("analyze bench_jobs.delivery");
  await pool.query("checkpoint");
  began = performance.now();
  await nt.start();
  await all;
  if (name === "batch") await settled();
  console.log(JSON.stringify({ value: perSecond() }));
}
await nt.stop({ deadlineMs: 5_000 });
await pool.end();

async function inFlight(many: number): Promise<void> {
  let next = 0;
  const one = async (): Promise<void> => {
    while (next < many) await job.enqueue({ i: next++ });
  };
  await Promise.all(Array.from({ length: 50 }, one));
}

async function fill(many: number): Promise<void> {
  for (let i = 0; i < many; i += 1_000) {
    const size = Math.min(1_000, many - i);
    await job.enqueueMany(Array.from({ length: size }, (_, n) => ({ input: { i: i + n } })));
  }
}

async function settled(): Promise<void> {
  while ((await pool.query("select from bench_jobs.delivery limit 1")).rows.length > 0)
    await new Promise((resolve) => setTimeout(resolve, 2));
}
