import pg from "pg";
import { ingestRate } from "./ingest.ts";
import { type Case, type Measured, runChild } from "./rounds.ts";

const SUBJECT = "bench/jobs-subject.ts";
const PEERS = [
  ["", "bench/peers/graphile-jobs.mjs"],
  ["-pg-boss", "bench/peers/pg-boss-jobs.mjs"],
] as const;
const COUNTS = { single: 40_000, bulk: 100_000, batch: 100_000, latency: 1_000, waiting: 60_000 } as const;

/** Jobs, against graphile-worker and pg-boss. */
export function jobsCases(url: string, quick: boolean): readonly Case[] {
  const once = async (program: string, name: keyof typeof COUNTS, behind = 0): Promise<Measured> => {
    // One call a job is slow over there: fewer of them take as long.
    const few = name === "single" && program !== SUBJECT ? 10 : 1;
    const count = COUNTS[name] / (quick ? 5 : 1) / few;
    const env = {
      DATABASE_URL: url,
      BENCH_CASE: name,
      BENCH_COUNT: String(count),
      BENCH_BEHIND: String(quick ? behind / 5 : behind),
    };
    return apart(url, name === "batch" ? count : 0, () => runChild<Measured>(program, env));
  };
  const against = (name: "single" | "bulk" | "batch" | "latency"): Case[] =>
    PEERS.map(([suffix, peer]) => ({
      bench: "jobs",
      name: `${name}${suffix}`,
      unit: "jobs/s",
      subject: () => once(SUBJECT, name),
      baseline: () => once(peer, name),
    }));
  const waiting = (name: string, behind: number, baseline: () => Promise<Measured>): Case => ({
    bench: "jobs",
    name,
    unit: "jobs/s",
    subject: () => once(SUBJECT, "waiting", behind),
    baseline,
  });
  return [
    ...against("single"),
    ...against("bulk"),
    ...against("batch"),
    ...against("latency"),
    waiting("waiting-0", 0, () => once(PEERS[0][1], "waiting")),
    waiting("waiting-100k", 100_000, () => once(PEERS[0][1], "waiting", 100_000)),
    // Against ourselves: what a million costs that a hundred thousand do not.
    waiting("waiting-1m", 1_000_000, () => once(SUBJECT, "waiting", 100_000)),
    pinned("pinned", url, quick, 1),
    pinned("pinned-three", url, quick, 3),
    {
      bench: "jobs",
      name: "ledger-10m",
      unit: "requests/s",
      long: true,
      subject: () => ingestRate(url, quick, quick ? 1_000_000 : 10_000_000),
      baseline: () => ingestRate(url, quick, 0),
    },
    idle(url, quick),
  ];
}

interface PinnedTold {
  readonly held: Measured;
  readonly before: Measured;
}

/** What comes in and what it waited before the hold are the baseline of what is worked off at its end. */
function pinned(name: string, url: string, quick: boolean, holders: number): Case {
  const env = {
    DATABASE_URL: url,
    BENCH_HOLDERS: String(holders),
    BENCH_HOLD_MS: quick ? "12000" : "120000",
  };
  // The second side of the one run: in one round the subject is first.
  let told: Measured = { value: 0 };
  return {
    bench: "jobs",
    name,
    unit: "jobs/s",
    long: true,
    async subject() {
      const { held, before } = await apart(url, 0, () => runChild<PinnedTold>("bench/jobs-pinned.ts", env));
      told = before;
      return held;
    },
    baseline: async () => told,
  };
}

/** The limit is the baseline: one hundredth of a core. What it writes but its signs of life is an error. */
function idle(url: string, quick: boolean): Case {
  const minutes = quick ? 1 : 10;
  const env = { DATABASE_URL: url, BENCH_IDLE_MS: String(minutes * 60_000) };
  return {
    bench: "jobs",
    name: "idle",
    unit: "% of a core",
    long: true,
    async subject() {
      const { value, written } = await apart(url, 0, () => runChild<IdleTold>("bench/jobs-idle.ts", env));
      const { consumer = 0, schedule = 0, ...rest } = written;
      // Ten consumers and a schedule say once a minute that they are declared.
      if (Object.keys(rest).length > 0 || consumer > 10 * (minutes + 1) || schedule > minutes + 2)
        throw new Error(`an idle server wrote ${JSON.stringify(written)}`);
      return { value };
    },
    baseline: async () => ({ value: 1 }),
  };
}

interface IdleTold extends Measured {
  /** Rows by table. */
  readonly written: Readonly<Record<string, number>>;
}

/** Runs it on fresh tables, and counts the effects that it should have had. */
async function apart<Told>(url: string, effects: number, program: () => Promise<Told>): Promise<Told> {
  const admin = new pg.Client(url);
  await admin.connect();
  const clear = async (): Promise<void> => {
    for (const schema of ["bench_jobs", "bench_graphile", "bench_boss"])
      await admin.query(`drop schema if exists ${schema} cascade`);
    await admin.query("drop table if exists bench_row");
  };
  await clear();
  await admin.query("create table bench_row (id int primary key, n int not null default 0)");
  await admin.query("insert into bench_row (id) select generate_series(0, 199999)");
  await admin.query("vacuum analyze bench_row");
  await admin.query("checkpoint");
  try {
    const measured = await program();
    const { rows } = await admin.query<{ n: number }>("select sum(n)::int as n from bench_row");
    if (rows[0]?.n !== effects) throw new Error(`${rows[0]?.n} effects, not ${effects}`);
    return measured;
  } finally {
    await clear();
    await admin.end();
  }
}
