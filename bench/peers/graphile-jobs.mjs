// graphile-worker at its best settings, for the cases of bench/jobs-subject.ts. Prints its figures as JSON.
// It has no handler for many at once that leaves each its own outcome: `batch` is its rate job by job.
import { Logger, makeWorkerUtils, run } from "graphile-worker";
import pg from "pg";

const { DATABASE_URL: url, BENCH_CASE: name } = process.env;
const count = Number(process.env.BENCH_COUNT);
const behind = Number(process.env.BENCH_BEHIND);
const schema = "bench_graphile";
const pool = new pg.Pool({ connectionString: url, max: 20 });
pool.on("error", () => {});
pool.on("connect", (client) => client.on("error", () => {}));
const utils = await makeWorkerUtils({ pgPool: pool, schema });
await utils.migrate();
const WARM = name === "waiting" ? 1_000 : 0;
const sentAt = new Map();
const waits = [];
let done = 0;
let began;
let finish;
const all = new Promise((resolve) => (finish = resolve));

async function job({ i }, helpers) {
  if (name === "latency") waits.push(performance.now() - sentAt.get(i));
  else if (name === "batch") await helpers.query("update bench_row set n = n + 1 where id = $1", [i]);
  done++;
  if (done === WARM) began = performance.now();
  if (done === WARM + count) finish();
}

const latency = name === "latency";
const worker = latency
  ? { schema, concurrentJobs: 10 }
  : {
      schema,
      concurrentJobs: 100,
      localQueue: { size: 500, refetchDelay: { durationMs: 0 } },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
    };
const logger = new Logger(() => () => {});
const start = () => run({ pgPool: pool, logger, noHandleSignals: true, preset: { worker }, taskList: { job } });
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
} else if (latency) {
  await start();
  for (let i = 0; i < count; i++) {
    sentAt.set(i, performance.now());
    void utils.addJob("job", { i });
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await all;
  waits.sort((a, b) => a - b);
  const at = (of) => Math.round(waits[Math.min(waits.length - 1, Math.floor((of / 100) * waits.length))] * 100) / 100;
  console.log(JSON.stringify({ value: 100, p50Ms: at(50), p99Ms: at(99) }));
} else {
  await fill(WARM + count + behind);
  await pool.query(`analyze ${schema}._private_jobs`);
  await pool.query("checkpoint");
  began = performance.now();
  await start();
  await all;
  while (name === "batch" && (await pool.query(`select from ${schema}._private_jobs limit 1`)).rows.length > 0)
    await new Promise((resolve) => setTimeout(resolve, 2));
  console.log(JSON.stringify({ value: perSecond() }));
}
process.exit(0);

async function inFlight(many) {
  let next = 0;
  const one = async () => {
    while (next < many) await utils.addJob("job", { i: next++ });
  };
  await Promise.all(Array.from({ length: 50 }, one));
}

async function fill(many) {
  for (let i = 0; i < many; i += 1_000) {
    const size = Math.min(1_000, many - i);
    await utils.addJobs(Array.from({ length: size }, (_, n) => ({ identifier: "job", payload: { i: i + n } })));
  }
}
