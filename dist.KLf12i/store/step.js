// begin step: commits the intent before the request leaves, fenced by a share lock on the delivery's row.
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
fence as materialized (
  select d.consumer_id
  from nevertwice.delivery d
  where d.id = $1::uuid and d.claim = $2::bigint
  for share
),
intent as (
  insert into nevertwice.step as s (message_id, consumer_id, name, idempotency_key, claim, tries, started_at)
  select $3::uuid, f.consumer_id, $4::text, $5::text, $2::bigint, 1, nevertwice.clock()
  from fence f
  on conflict (message_id, consumer_id, name) do update
  set claim = excluded.claim, tries = s.tries + 1, started_at = excluded.started_at, ended_at = null, error = null
  where s.ended_at is null or s.error is not null
  returning s.tries
)
select
  (select count(*) from setting, fence) as fenced,
  (select tries from intent) as tries,
  (
    select json_build_array(s.result)
    from nevertwice.step s
    join fence f on f.consumer_id = s.consumer_id
    where s.message_id = $3::uuid and s.name = $4::text
  ) as result`;
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
export async function beginStep(run, claim, name, idempotencyKey) {
    const { rows } = await run(BEGIN_STEP, [
        claim.deliveryId,
        claim.claim,
        claim.messageId,
        name,
        idempotencyKey,
    ]);
    const row = rows[0];
    if (row === undefined || Number(row.fenced) === 0)
        return { kind: "superseded" };
    if (row.tries !== null)
        return { kind: "begun", tries: row.tries };
    return { kind: "done", result: row.result?.[0] ?? null };
}
export async function finishStep(run, claim, name, outcome) {
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
//# sourceMappingURL=step.js.map