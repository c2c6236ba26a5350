/**
 * Settling: the row of the delivery goes (or becomes due again), and the row of history comes, in one statement.
 *
 * The fence is the row's lock: `d.id = s.id and d.claim = s.claim` in the statement that deletes or updates it. What
 * comes back is what was really settled; whoever is not in it has lost its claim. In a handler's transaction the lane
 * token is required too: had the handler ended the transaction itself, the settlement would otherwise run alone, in
 * autocommit, with no effect beside it: a loss.
 *
 * A group's short lock_timeout ends here: a renewal may hold some of the rows for a few milliseconds, and giving the
 * group up for that would run it all again. Renewals skip locked rows, so nobody waits in a circle.
 *
 * Deliveries are named in the order of their ids, so that two statements that lock several take them in one order, and
 * by an array of them: joined to the list alone, the planner reads the whole table as soon as it thinks that small.
 */
import type { Claim, Settlement } from "../core/ports/store.ts";
import { bigints, floats, texts, uuids } from "./binary.ts";
import type { Run } from "./accept.ts";

// complete: the hot path: all completed. With $7 a missing row is an error (division by zero), so that a COMMIT sent
// right behind it commits all or nothing.
// $1 deliveries, $2 claims, $3 ran ms, $4 reruns, $5 worker, $6 lane token or null, $7 whether all must be there,
// $8 results, null where none has any.
const COMPLETE = `-- complete
with setting as materialized (
  select
    case
      when current_setting('synchronous_commit') in ('off', 'local', 'remote_write')
      then set_config('synchronous_commit', 'on', true)
    end,
    case when $6::text is not null then set_config('lock_timeout', '2000', true) end,
    nevertwice.clock() as now
),
settled as (
  delete from nevertwice.delivery d
  using setting, unnest($1::uuid[], $2::bigint[], $3::float8[], $4::float8[], $8::text[]) as s (id, claim, ran_ms, reruns, result)
  where d.id = any ($1::uuid[])
    and d.id = s.id
    and d.claim = s.claim
    and ($6::text is null or current_setting('nevertwice.lane', true) = $6::text)
  returning d.id, d.message_id, d.consumer_id, d.claim, s.reruns, s.ran_ms, s.result, setting.now,
    d.attempts + case when d.started then 0 else 1 end as attempt
),
recorded as (
  insert into nevertwice.attempt
    (message_id, delivery_id, consumer_id, attempt, reruns, claim, outcome, started_at, ended_at, worker, result)
  select message_id, id, consumer_id, attempt, reruns, claim, 'completed',
    now - ran_ms * interval '1 millisecond', now, $5::text, result::json
  from settled
)
select id
from settled
where 1 = 1 / case when $7::boolean and (select count(*) from settled) <> cardinality($1::uuid[]) then 0 else 1 end`;

// settle: any mix of outcomes. One that is put off (interrupted, with a delay) lets first attempts pass, and is recorded once for
// the same reason: a pause may last for days.
// $1 deliveries, $2 claims, $3 ran ms, $4 reruns, $5 worker, $6 lane token or null, $7 outcomes, $8 delays in ms, $9 errors,
// $10 results.
const SETTLE = `-- settle
with setting as materialized (
  select
    case
      when current_setting('synchronous_commit') in ('off', 'local', 'remote_write')
      then set_config('synchronous_commit', 'on', true)
    end,
    case when $6::text is not null then set_config('lock_timeout', '2000', true) end,
    nevertwice.clock() as now
),
asked as materialized (
  select s.*, setting.now
  from setting
  cross join unnest($1::uuid[], $2::bigint[], $3::float8[], $4::float8[], $7::text[], $8::float8[], $9::text[], $10::text[])
    as s (id, claim, ran_ms, reruns, outcome, delay_ms, error, result)
  where $6::text is null or current_setting('nevertwice.lane', true) = $6::text
),
ended as (
  delete from nevertwice.delivery d
  using asked s
  where d.id = any ($1::uuid[])
    and d.id = s.id
    and d.claim = s.claim
    and s.outcome in ('completed', 'dead', 'cancelled')
  returning d.id, d.message_id, d.consumer_id, s.claim, s.reruns, s.ran_ms, s.now, s.outcome, s.error, s.result,
    false as put_off,
    -- One that was claimed or taken over only to be ended never ran: it is no attempt.
    d.attempts - d.started::int + case when s.ran_ms is null then 0 else 1 end as attempt
),
again as (
  update nevertwice.delivery d
  set
    state = case
      when s.outcome = 'interrupted' and s.delay_ms is null and d.attempts - d.started::int = 0 then 'waiting'
      else 'retrying'
    end,
    claim = null,
    started = false,
    takeovers = 0,
    -- It has begun in time.
    expires_at = case when s.ran_ms is null then d.expires_at end,
    attempts = d.attempts - d.started::int + case when s.outcome = 'retry' then 1 else 0 end,
    due_at = s.now + coalesce(s.delay_ms, 0) * interval '1 millisecond'
  from asked s
  where d.id = any ($1::uuid[])
    and d.id = s.id
    and d.claim = s.claim
    and s.outcome in ('retry', 'interrupted')
  returning d.id, d.message_id, d.consumer_id, s.claim, s.reruns, s.ran_ms, s.now, s.outcome, s.error, null,
    s.outcome = 'interrupted' and s.delay_ms is not null as put_off,
    d.attempts + case when s.outcome = 'retry' then 0 else 1 end as attempt
),
settled as (
  select * from ended
  union all
  select * from again
),
recorded as (
  insert into nevertwice.attempt
    (message_id, delivery_id, consumer_id, attempt, reruns, claim, outcome, started_at, ended_at, worker, error, result)
  select message_id, id, consumer_id, attempt, coalesce(reruns, 0), claim, outcome,
    now - ran_ms * interval '1 millisecond', now, $5::text, error, result::json
  from settled
  where outcome <> 'interrupted'
    or ran_ms is not null and not (put_off and nevertwice.put_off_before(message_id, id, error))
),
buried as (
  insert into nevertwice.dead_letter (delivery_id, message_id, consumer_id, attempts, died_at, error)
  select id, message_id, consumer_id, attempt, now, coalesce(error, '')
  from ended
  where outcome = 'dead'
)
select id from settled`;

// superseded: records executions that lost their claim. History only; the consumer is found where the delivery is.
// $1 deliveries, $2 messages, $3 claims, $4 ran ms, $5 errors, $6 worker.
const SUPERSEDED = `-- superseded
insert into nevertwice.attempt
  (message_id, delivery_id, consumer_id, attempt, claim, outcome, started_at, ended_at, worker, error)
select s.message_id, s.id, f.consumer_id, f.attempt, s.claim, 'superseded',
  nevertwice.clock() - s.ran_ms * interval '1 millisecond', nevertwice.clock(), $6::text, s.error
from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::float8[], $5::text[]) as s (id, message_id, claim, ran_ms, error)
cross join lateral (
  select d.consumer_id, d.attempts as attempt
  from nevertwice.delivery d
  where d.id = s.id
  union all
  select a.consumer_id, a.attempt
  from nevertwice.attempt a
  where a.message_id = s.message_id and a.delivery_id = s.id
  limit 1
) f`;

// resolve: after an unknown COMMIT, gives all members a new claim. Any row: not committed, and it cannot commit any more.
// $1 deliveries, $2 claims, $3 lease in ms, $4 lock_timeout in ms.
const RESOLVE = `-- resolve
with setting as materialized (
  select set_config('lock_timeout', $4, true)
),
asked as materialized (
  select a.id, a.claim
  from setting
  cross join unnest($1::uuid[], $2::bigint[]) as a (id, claim)
)
update nevertwice.delivery d
set
  claim = uuid_hash_extended(gen_random_uuid(), 0),
  due_at = nevertwice.clock() + $3::float8 * interval '1 millisecond'
from asked a
where d.id = any ($1::uuid[])
  and d.id = a.id
  and d.claim = a.claim
returning d.id, d.message_id, d.claim`;

// resolved: whether settlements of these claims exist: asked in a new statement, after no row of resolve matched.
// $1 deliveries, $2 claims, $3 messages.
const RESOLVED = `-- resolved
select count(*) as settled
from unnest($1::uuid[], $2::bigint[], $3::uuid[]) as s (id, claim, message_id)
join nevertwice.attempt a on a.message_id = s.message_id and a.delivery_id = s.id and a.claim = s.claim
where a.outcome in ('completed', 'dead', 'retry', 'interrupted')`;

export async function settle(
  run: Run,
  settlements: readonly Settlement[],
  worker: string,
  lane: string | null,
  allOrError = false,
): Promise<ReadonlySet<string>> {
  const sorted = [...settlements].sort((a, b) => (a.deliveryId < b.deliveryId ? -1 : 1));
  const values = [
    uuids(sorted.map((s) => s.deliveryId)),
    bigints(sorted.map((s) => s.claim)),
    floats(sorted.map((s) => s.ranMs)),
    floats(sorted.map((s) => s.reruns ?? 0)),
    worker,
    lane,
  ];
  const completed = sorted.every((s) => s.outcome === "completed");
  const results = sorted.some((s) => s.result !== undefined) ? texts(sorted.map((s) => s.result)) : null;
  const { rows } = completed
    ? await run<{ id: string }>(COMPLETE, [...values, allOrError, results])
    : await run<{ id: string }>(SETTLE, [
        ...values,
        texts(sorted.map((s) => s.outcome)),
        floats(sorted.map((s) => s.delayMs)),
        texts(sorted.map((s) => s.error)),
        results,
      ]);
  return new Set(rows.map((row) => row.id));
}

export async function recordSuperseded(run: Run, settlements: readonly Settlement[], worker: string): Promise<void> {
  await run(SUPERSEDED, [
    uuids(settlements.map((s) => s.deliveryId)),
    uuids(settlements.map((s) => s.messageId)),
    bigints(settlements.map((s) => s.claim)),
    floats(settlements.map((s) => s.ranMs)),
    texts(settlements.map((s) => s.error)),
    worker,
  ]);
}

export type Resolution =
  | { readonly kind: "committed" | "superseded" | "unknown" }
  | { readonly kind: "not-committed"; readonly claims: readonly Claim[] };

export async function resolve(run: Run, claims: readonly Claim[], leaseMs: number): Promise<Resolution> {
  const sorted = [...claims].sort((a, b) => (a.deliveryId < b.deliveryId ? -1 : 1));
  const deliveries = uuids(sorted.map((one) => one.deliveryId));
  const tokens = bigints(sorted.map((one) => one.claim));
  let rows: { id: string; message_id: string; claim: string }[];
  try {
    ({ rows } = await run<{ id: string; message_id: string; claim: string }>(RESOLVE, [
      deliveries,
      tokens,
      leaseMs,
      "2000",
    ]));
  } catch (error) {
    // The COMMIT may still be under way, holding its locks.
    if ((error as { code?: unknown }).code === "55P03") return { kind: "unknown" };
    throw error;
  }
  if (rows.length > 0) {
    return {
      kind: "not-committed",
      claims: rows.map((row) => ({ deliveryId: row.id, messageId: row.message_id, claim: row.claim })),
    };
  }
  const found = await run<{ settled: string }>(RESOLVED, [
    deliveries,
    tokens,
    uuids(sorted.map((one) => one.messageId)),
  ]);
  return { kind: Number(found.rows[0]?.settled) > 0 ? "committed" : "superseded" };
}
