import { canary, type CanaryName, type Fault } from "./canaries.ts";
import { due, HOT_ROWS } from "./handlers.ts";
import type { Harness } from "./harness.ts";
import { LEASE_MS } from "./run.ts";

export interface ChaosResult {
  readonly scenario: string;
  readonly attempted: number;
  readonly acked: number;
  readonly effects: number;
  readonly lost: number;
  readonly doubled: number;
  readonly unexpected: number;
  readonly recovered: number;
  readonly drained: boolean;
  readonly faults: number;
  readonly ms: number;
  readonly seed: number;
}

/**
 * Made per message and from outside: what was acknowledged, what stands in tables without constraints, what the provider
 * logged. What was not expected is added to the harness's sentences.
 */
export async function verdict(harness: Harness, drained: boolean, ms: number): Promise<ChaosResult> {
  const { provider, unexpected } = harness;
  const { offered, acked } = harness.senders;
  const found = await harness.rows<{ message: string; kind: string; times: number }>(
    "select message, kind, count(*)::int as times from chaos_effect group by message, kind",
  );
  const times = new Map(found.rows.map((row) => [`${row.message} ${row.kind}`, row.times]));
  let lost = 0;
  let doubled = 0;
  for (const [key, topic] of offered) {
    const counts = due(topic).map((kind) => times.get(`${key} ${kind}`) ?? 0);
    const keys = provider.charged.get(key)?.size ?? 0;
    if (acked.has(key) && (counts.some((n) => n === 0) || (topic === "step" && keys === 0))) lost++;
    if (counts.some((n) => n > 1) || keys > 1) doubled++;
  }
  for (const row of found.rows) {
    const topic = offered.get(row.message);
    if (topic === undefined || !due(topic).includes(row.kind))
      unexpected.push(`an effect ${row.kind} of ${row.message}`);
  }
  const hot = await harness.rows<{ n: number }>("select sum(n)::int as n from chaos_hot");
  const hotEffects = found.rows.filter((row) => row.kind === "hot").reduce((sum, row) => sum + row.times, 0);
  if ((hot.rows[0]?.n ?? 0) !== hotEffects)
    unexpected.push(`${hot.rows[0]?.n} on ${HOT_ROWS} hot rows, ${hotEffects} effects`);
  if (provider.afterRecorded > 0) unexpected.push(`${provider.afterRecorded} requests after their result was recorded`);
  // Each was being run by a second worker when the first one woke up and asked for a retry: that must touch nothing.
  const keys = [...harness.secondRuns].map((key) => `'${key}'`).join(", ") || "null";
  const failed = await harness.rows<{ n: number }>(
    `select count(*)::int as n
     from nevertwice.attempt a
     join nevertwice.message m on m.id = a.message_id
     where m.key in (${keys}) and a.outcome = 'retry' and a.error like '%frozen%'
       and a.ended_at - a.started_at > interval '${LEASE_MS} milliseconds'`,
  );
  const newerFailed = failed.rows[0]?.n ?? 0;
  if (newerFailed > 0) unexpected.push(`${newerFailed} newer executions failed by a zombie`);
  const effects = found.rows.reduce((sum, row) => sum + row.times, 0);
  return harness.result({ attempted: offered.size, acked: acked.size, effects, lost, doubled }, { drained, ms });
}

/** Whether a canary was caught for its reason. */
export function caught(name: CanaryName, result: ChaosResult, unexpected: readonly string[]): boolean {
  const found: Record<Fault, boolean> = {
    lost: result.lost > 0,
    doubled: result.doubled > 0,
    uncommitted: unexpected.some((sentence) => sentence.includes("never committed")),
    "newer-failed": unexpected.some((sentence) => sentence.includes("newer executions failed")),
  };
  return canary(name)?.reasons.some((reason) => found[reason]) ?? false;
}
