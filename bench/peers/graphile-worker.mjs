// graphile-worker at its best settings: local queue, batched completion. Prints its figures as JSON.
//   tx           one UPDATE each, at least once
//   tx-once      the same guarantee by hand: a processed-ids row and the UPDATE in one transaction
//   tx-hot-*     one transaction a job
import { Logger, makeWorkerUtils, run } from "graphile-worker";
import pg from "pg";

const { DATABASE_URL: url, BENCH_CASE: name, BENCH_CONNECTIONS: connections = "20" } = process.env;
const count = Number(process.env.BENCH_COUNT);
const rows = name === "tx-hot-1000" ? 1_000 : name === "tx-hot-100" ? 100 : 200_000;
const schema = "bench_graphile";
const admin = new pg.Pool({ connectionString: url, max: 2 });
await admin.query("create table if not exists bench_processed (id text primary key)");
const utils = await makeWorkerUtils({ connectionString: url, schema });
await utils.migrate();
const latency = name === "latency";
const sentAt = new Map();
const waits = [];
let done = 0;
let finish;
const all = new Promise((resolve) => (finish = resolve));
const UPDATE = "update bench_row set n = n + 1 where id = $1";

async function job({ i }, helpers) {
  if (latency) waits.push(performance.now() - sentAt.get(i));
  else if (name === "tx") await helpers.query(UPDATE, [i % rows]);
  else if (name !== "noop") {
    await helpers.withPgClient(async (client) => {
      await client.query("begin");
      if (name === "tx-once") {
        const first = await client.query("insert into bench_processed values ($1) on conflict do nothing", [
          helpers.job.id,
        ]);
        if (first.rowCount === 1) await client.query(UPDATE, [i % rows]);
      } else await client.query(UPDATE, [i % rows]);
      await client.query("commit");
    });
  }
  if (++done === count) finish();
}

const hot = name.startsWith("tx-hot");
const pool = new pg.Pool({ connectionString: url, max: Number(connections) });
pool.on("error", () => {});
pool.on("connect", (client) => client.on("error", () => {}));
const concurrentJobs = latency ? 10 : hot ? Number(connections) : 100;
const worker = latency
  ? { schema, concurrentJobs }
  : {
      schema,
      concurrentJobs,
      localQueue: { size: 500, refetchDelay: { durationMs: 0 } },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
    };
// A line for each job would be work that ours does not do.
const logger = new Logger(() => () => {});
const start = () => run({ pgPool: pool, logger, noHandleSignals: true, preset: { worker }, taskList: { job } });

if (latency) {
  const runner = await start();
  for (let i = 0; i < count; i++) {
    sentAt.set(i, performance.now());
    void utils.addJob("job", { i });
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await all;
  waits.sort((a, b) => a - b);
  const at = (of) => Math.round(waits[Math.min(waits.length - 1, Math.floor((of / 100) * waits.length))] * 100) / 100;
  console.log(JSON.stringify({ value: 100, p50Ms: at(50), p99Ms: at(99) }));
  await runner.stop();
} else {
  const order = Array.from({ length: count }, (_, i) => i).sort(() => Math.random() - 0.5);
  for (let i = 0; i < count; i += 1_000)
    await utils.addJobs(order.slice(i, i + 1_000).map((n) => ({ identifier: "job", payload: { i: n } })));
  await admin.query(`analyze ${schema}._private_jobs`);
  await admin.query("checkpoint");
  const began = performance.now();
  const runner = await start();
  await all;
  while ((await admin.query(`select from ${schema}._private_jobs limit 1`)).rows.length > 0)
    await new Promise((resolve) => setTimeout(resolve, 2));
  console.log(JSON.stringify({ value: (count * 1_000) / (performance.now() - began) }));
  await runner.stop();
}
process.exit(0);
