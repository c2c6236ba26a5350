// pg-boss at its best settings, for the cases of bench/jobs-subject.ts. Prints its figures as JSON.
import pg from "pg";
import { PgBoss } from "pg-boss";

const { DATABASE_URL: url, BENCH_CASE: name } = process.env;
const count = Number(process.env.BENCH_COUNT);
const boss = new PgBoss({
  connectionString: url,
  schema: "bench_boss",
  max: 20,
  supervise: false,
  schedule: false,
  useListenNotify: name === "latency",
});
boss.on("error", (error) => console.error(error.message));
await boss.start();
await boss.createQueue("job", name === "latency" ? { notify: true } : {});
const pool = new pg.Pool({ connectionString: url, max: 4 });
const sentAt = new Map();
const waits = [];
let done = 0;
let began;
let finish;
const all = new Promise((resolve) => (finish = resolve));
const perSecond = () => (count * 1_000) / (performance.now() - began);

if (name === "single") {
  await inFlight(200);
  began = performance.now();
  await inFlight(count);
  console.log(JSON.stringify({ value: perSecond() }));
} else if (name === "bulk") {
  await fill(2_000);
  began = performance.now();
  await fill(count);
  console.log(JSON.stringify({ value: perSecond() }));
} else if (name === "latency") {
  await boss.work("job", { batchSize: 1, localConcurrency: 10, pollingIntervalSeconds: 0.5 }, async ([{ data }]) => {
    waits.push(performance.now() - sentAt.get(data.i));
    if (++done === count) finish();
  });
  for (let i = 0; i < count; i++) {
    sentAt.set(i, performance.now());
    void boss.send("job", { i });
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await all;
  waits.sort((a, b) => a - b);
  const at = (of) => Math.round(waits[Math.min(waits.length - 1, Math.floor((of / 100) * waits.length))] * 100) / 100;
  console.log(JSON.stringify({ value: 100, p50Ms: at(50), p99Ms: at(99) }));
} else {
  await fill(count);
  await pool.query("analyze bench_boss.job_common");
  await pool.query("checkpoint");
  began = performance.now();
  const options = { batchSize: 500, localConcurrency: 4, pollingIntervalSeconds: 0.5, burstWhenBatchFull: true };
  await boss.work("job", options, async (jobs) => {
    const ids = jobs.map((one) => one.data.i);
    await pool.query("update bench_row set n = n + 1 where id = any ($1::int[])", [ids]);
    done += jobs.length;
    if (done === count) finish();
  });
  await all;
  while ((await pool.query("select from bench_boss.job where state < 'completed' limit 1")).rows.length > 0)
    await new Promise((resolve) => setTimeout(resolve, 2));
  console.log(JSON.stringify({ value: perSecond() }));
}
process.exit(0);

async function inFlight(many) {
  let next = 0;
  const one = async () => {
    while (next < many) await boss.send("job", { i: next++ });
  };
  await Promise.all(Array.from({ length: 50 }, one));
}

async function fill(many) {
  for (let i = 0; i < many; i += 1_000) {
    const size = Math.min(1_000, many - i);
    await boss.insert(
      "job",
      Array.from({ length: size }, (_, n) => ({ data: { i: i + n } })),
    );
  }
}
