import type { Claim, StepBegun } from "../core/ports/store.ts";
import type { Run } from "./accept.ts";

// begin step: commits the intent before the request leaves, fenced by a share lock on the delivery's row. On a timeline that
// nobody has confirmed there is no intent; a result that was recorded is given all the same.
// $1 delivery, $2 claim, $3 message, $4 step name, $5 idempotency key.
// `where exists` instead of the lock would let a takeover slip through between the check and the insert.
const BEGIN_STEP = `-- begin step
with setting as materialized (
  select
    case
      when current_setting('synchronous_commit') in ('off', 'local', 'remote_write')
      then set_config('synchronous_commit', 'on', true)
    end
),
here as materialized (
  select nevertwice.current_timeline() as id
),
fence as materialized (
  select d.consumer_id
  from nevertwice.delivery d
  where d.id = $1::uuid and d.claim = $2::bigint
  for share
),
confirmed as materialized (
  select f.consumer_id
  from fence f
  cross join here h
  where h.id is null
    or (select t.confirmed_at from nevertwice.timeline t where t.id = h.id) is not null
),
intent as (
  insert into nevertwice.step as s (message_id, consumer_id, name, idempotency_key, claim, tries, started_at)
  select $3::uuid, f.consumer_id, $4::text, $5::text, $2::bigint, 1, nevertwice.clock()
  from confirmed f
  on conflict (message_id, consumer_id, name) do update
  set claim = excluded.claim, tries = s.tries + 1, started_at = excluded.started_at, ended_at = null, error = null
  where s.ended_at is null or s.error is not null
  returning s.tries
)
select
  (select count(*) from setting, fence) as fenced,
  (select count(*) from confirmed) as confirmed,
  (select id from here) as timeline,
  (select tries from intent) as tries,
  (
    select json_build_array(s.result)
    from nevertwice.step s
    join fence f on f.consumer_id = s.consumer_id
    where s.message_id = $3::uuid and s.name = $4::text and s.ended_at is not null and s.error is null
  ) as result`;

// see timeline: the first to be held up by a new one records since when.
const SEE_TIMELINE = `-- see timeline
insert into nevertwice.timeline (id, seen_at)
select c.id, nevertwice.clock()
from (select nevertwice.current_timeline() as id) c
where c.id is not null
on conflict (id) do nothing`;

// finish step: records the result, or the error, of the claim that began it.
// $1 delivery, $2 claim, $3 message, $4 step name, $5 result, $6 error.
const FINISH_STEP = `-- finish step
with setting as materialized (
  select
    case
      when current_setting('synchronous_commit') in ('off', 'local', 'remote_write')
      then set_config('synchronous_commit', 'on', true)
    end
),
fence as materialized (
  select d.consumer_id
  from nevertwice.delivery d
  where d.id = $1::uuid and d.claim = $2::bigint
  for share
)
update nevertwice.step s
set ended_at = nevertwice.clock(), result = $5::json, error = $6::text
from fence f, setting
where s.message_id = $3::uuid
  and s.consumer_id = f.consumer_id
  and s.name = $4::text
  and s.claim = $2::bigint
returning s.tries`;

interface BegunRow {
  readonly fenced: string;
  readonly confirmed: string;
  readonly timeline: string | null;
  readonly tries: number | null;
  readonly result: [unknown] | null;
}

export async function beginStep(run: Run, claim: Claim, name: string, idempotencyKey: string): Promise<StepBegun> {
  for (;;) {
    const { rows } = await run<BegunRow>(BEGIN_STEP, [
      claim.deliveryId,
      claim.claim,
      claim.messageId,
      name,
      idempotencyKey,
    ]);
    const row = rows[0];
    if (row === undefined || Number(row.fenced) === 0) return { kind: "superseded" };
    if (row.tries !== null) return { kind: "begun", tries: row.tries };
    if (row.result !== null) return { kind: "done", result: row.result[0] };
    if (Number(row.confirmed) === 0) {
      await run(SEE_TIMELINE, []);
      return { kind: "paused", timeline: row.timeline ?? "" };
    }
    // Another delivery of this message finished it after our snapshot was taken: the next one sees the result.
  }
}

export async function finishStep(
  run: Run,
  claim: Claim,
  name: string,
  outcome: { result: string } | { error: string },
): Promise<boolean> {
  const { rows } = await run(FINISH_STEP, [
    claim.deliveryId,
    claim.claim,
    claim.messageId,
    name,
    "result" in outcome ? outcome.result : null,
    "error" in outcome ? outcome.error : null,
  ]);
  return rows.length > 0;
}
