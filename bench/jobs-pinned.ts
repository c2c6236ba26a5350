// 800 jobs a second while other sessions hold old snapshots: what is dead then stays in tables and indexes. Prints as JSON the
// rate worked off and the waits at the end of the hold, and as `before` the waits before it.
import pg from "pg";
import { Nevertwice } from "nevertwice";
import { percentile } from "./rounds.ts";

const { DATABASE_URL: url } = process.env as Record<string, string>;
const holders = Number(process.env["BENCH_HOLDERS"]);
const HOLD_MS = Number(process.env["BENCH_HOLD_MS"]);
/** Of each two in a row, how long both are held. */
const OVERLAP_MS = (HOLD_MS * 2) / 3;
const WINDOW_MS = HOLD_MS / 4;
const RATE = 800;

const nt = new Nevertwice({ database: url, schema: "bench_jobs", preparedStatements: true });
const waits: { at: number; ms: number }[] = [];
const sentAt = new Map<number, number>();
const job = nt.job<{ i: number }, void>("job", { concurrency: 20 }, ({ i }) => {
  const at = performance.now();
  waits.push({ at, ms: at - (sentAt.get(i) ?? at) });
  sentAt.delete(i);
});
await nt.ready();
await nt.start();

let sent = 0;
let sending = true;
const first = performance.now();
const sender = (async () => {
  while (sending) {
    const owed = Math.floor(((performance.now() - first) / 1_000) * RATE);
    for (; sent < owed; sent++) {
      sentAt.set(sent, performance.now());
      void job.enqueue({ i: sent });
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
})();
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function hold(): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  await client.query("begin isolation level repeatable read");
  await client.query("select txid_current()");
  await pause(HOLD_MS);
  await client.query("rollback");
  await client.end();
}

await pause(WINDOW_MS / 2);
const quietFrom = performance.now();
await pause(WINDOW_MS);
const heldFrom = performance.now();
const done = waits.length;
const wasSent = sent;
const held: Promise<void>[] = [];
for (let n = 0; n < holders; n++) {
  held.push(hold());
  if (n < holders - 1) await pause(HOLD_MS - OVERLAP_MS);
}
await Promise.all(held);
const endedAt = performance.now();
const seconds = (endedAt - heldFrom) / 1_000;
const within = (from: number, to: number): number[] =>
  waits.filter(({ at }) => at >= from && at < to).map(({ ms }) => ms);
const before = within(quietFrom, heldFrom);
const last = within(endedAt - WINDOW_MS, endedAt);
const told = (of: readonly number[]): { p50Ms: number; p99Ms: number } => ({
  p50Ms: percentile(of, 50),
  p99Ms: percentile(of, 99),
});
console.log(
  JSON.stringify({
    held: { value: (waits.length - done) / seconds, ...told(last) },
    before: { value: (sent - wasSent) / seconds, ...told(before) },
  }),
);
sending = false;
await sender;
await nt.stop({ deadlineMs: 5_000 });
