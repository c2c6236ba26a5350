// A server with workers and nothing to do. Prints the share of a core that it takes, and what it writes, as JSON.
import pg from "pg";
import { Nevertwice } from "nevertwice";

const { DATABASE_URL: url } = process.env as Record<string, string>;
const IDLE_MS = Number(process.env["BENCH_IDLE_MS"]);
const nt = new Nevertwice({ database: url, schema: "bench_jobs" });
for (let n = 0; n < 10; n++) nt.job(`job-${n}`, {}, () => {});
nt.schedule("yearly", { cron: "0 0 1 1 *", zone: "UTC" });
await nt.start();
const client = new pg.Client(url);
await client.connect();

async function written(): Promise<Map<string, number>> {
  // What sessions have counted reaches the view within a second or so of their being idle.
  const { rows } = await client.query<{ name: string; n: string }>(
    `select relname as name, n_tup_ins + n_tup_upd + n_tup_del as n
     from pg_stat_user_tables where schemaname = 'bench_jobs'`,
  );
  return new Map(rows.map(({ name, n }) => [name, Number(n)]));
}

// What a start writes is not idleness.
await new Promise((resolve) => setTimeout(resolve, IDLE_MS / 10));
const before = await written();
const cpu = process.cpuUsage();
const began = performance.now();
await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
const used = process.cpuUsage(cpu);
const percent = (used.user + used.system) / 10 / (performance.now() - began);
const after = await written();
const rows = [...after].map(([name, n]) => [name, n - (before.get(name) ?? 0)] as const).filter(([, n]) => n > 0);
console.log(JSON.stringify({ value: Math.round(percent * 1_000) / 1_000, written: Object.fromEntries(rows) }));
await client.end();
await nt.stop();
