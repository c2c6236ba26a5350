import pg from "pg";
import { type Case, type Measured, runChild } from "./rounds.ts";

const NAMES = ["noop", "tx", "tx-once", "tx-hot-1000", "tx-hot-100", "latency"] as const;
const PEER = "bench/peers/graphile-worker.mjs";

/** Waiting jobs worked off, against graphile-worker; each effect is counted in the table afterwards. */
export function processCases(url: string, quick: boolean): readonly Case[] {
  const best = new Map<string, string>();
  return NAMES.map((name): Case => {
    // Enough for seconds at full pace: what a start costs both sides is not what is measured.
    const whole = name === "latency" ? 1_000 : name === "noop" ? 100_000 : 20_000;
    const count = quick ? whole / 5 : whole;
    const env = { DATABASE_URL: url, BENCH_CASE: name, BENCH_COUNT: String(count) };
    const once = async (program: string, more: Record<string, string> = {}): Promise<Measured> => {
      const admin = new pg.Client(url);
      await admin.connect();
      await admin.query("drop schema if exists bench_process cascade");
      await admin.query("drop schema if exists bench_graphile cascade");
      await admin.query("drop table if exists bench_row, bench_processed");
      await admin.query("create table bench_row (id int primary key, n int not null default 0)");
      await admin.query("insert into bench_row (id) select generate_series(0, 199999)");
      await admin.query("vacuum analyze bench_row");
      try {
        const measured = await runChild<Measured>(program, { ...env, ...more });
        const { rows } = await admin.query<{ n: number }>("select sum(n)::int as n from bench_row");
        const expected = name === "noop" || name === "latency" ? 0 : count;
        if (rows[0]?.n !== expected) throw new Error(`${program} ${name}: ${rows[0]?.n} effects, not ${expected}`);
        return measured;
      } finally {
        await admin.query("drop schema if exists bench_process cascade");
        await admin.query("drop schema if exists bench_graphile cascade");
        await admin.query("drop table if exists bench_row, bench_processed");
        await admin.end();
      }
    };
    return {
      bench: "process",
      name,
      unit: "jobs/s",
      subject: () => once("bench/process-subject.ts"),
      async baseline() {
        if (!name.startsWith("tx-hot")) return once(PEER);
        // At its best number of connections, found once.
        if (!best.has(name)) {
          const tried: [string, number][] = [];
          for (const connections of ["4", "10", "20"])
            tried.push([connections, (await once(PEER, { BENCH_CONNECTIONS: connections })).value]);
          best.set(name, tried.sort((a, b) => b[1] - a[1])[0]?.[0] ?? "10");
        }
        return once(PEER, { BENCH_CONNECTIONS: best.get(name) ?? "10" });
      },
    };
  });
}
