import type { Arrival, Put } from "../core/ports/store.ts";
import type { Run } from "./accept.ts";

// put: messages of our own, one by one, by the functions of the migrations: in the caller's transaction, or where a key that is
// unique for a while has to be decided. $1 messages, as the text of a JSON array: postgres.js would write one again for `json`.
export const PUT = `-- put
select p.n, p.id, p.outcome
from nevertwice.put_all($1::text::json) p`;

export interface PutRow {
  readonly n: number | string;
  readonly id: string;
  readonly outcome: Exclude<Put["kind"], "replayed">;
}

export function putText(arrivals: readonly Arrival[]): string {
  return JSON.stringify(
    arrivals.map((one) => ({
      id: one.id,
      source: one.source,
      topic: one.topic,
      body: Buffer.from(one.body).toString("base64"),
      // Its id was its key only because it had none.
      key: one.key === one.id ? undefined : one.key,
      delayMs: one.delayMs,
      runAtMs: one.runAtMs,
      priority: one.priority,
      expireAfterMs: one.expireAfterMs,
      tenant: one.tenant,
      unique: one.unique,
    })),
  );
}

/** The outcomes in the order of the arrivals; undefined where the answer has no row for one. */
export function putOutcomes(arrivals: readonly Arrival[], rows: readonly PutRow[]): readonly (Put | undefined)[] {
  const found = new Map(rows.map((row) => [Number(row.n), row]));
  return arrivals.map((_, i) => {
    const row = found.get(i + 1);
    return row === undefined ? undefined : { kind: row.outcome, id: row.id };
  });
}

// The functions set no limit of their own: in a user's transaction theirs holds. $1 as above, $2 lock_timeout in ms.
const LIMITED = `-- put: apart
with setting as materialized (
  select set_config('lock_timeout', $2, true)
)
select p.n, p.id, p.outcome
from setting
cross join lateral nevertwice.put_all($1::text::json) p`;

/** Jobs whose key is unique for a while. */
export async function putUnique(
  run: Run,
  arrivals: readonly Arrival[],
  lockMs: number,
): Promise<readonly (Put | undefined)[]> {
  const { rows } = await run<PutRow>(LIMITED, [putText(arrivals), String(lockMs)]);
  return putOutcomes(arrivals, rows);
}
