/**
 * Leases and fencing.
 *
 * A lease is a due time in the future, on the database's clock: a leased row is not due, and one whose worker died
 * becomes due by itself. A *claim* is a random 64-bit token, new for each execution and gone with each settlement; no
 * (delivery, claim) can ever match twice, whatever was replayed, restored or failed over. An attempt's number could: a
 * replayed row would match a zombie of its first life.
 *
 * So a worker that lost its lease is harmless rather than impossible: whatever it still writes names a claim that is
 * no longer there and touches no row. That is why the lease can be short.
 *
 * In a normal claim nothing is counted until it settles: a process that dies takes hundreds of unstarted deliveries with
 * it, and none of them may come nearer to its dead letter for that. A delivery whose lease ran out is claimed alone, in a
 * transaction of its own. If its lease runs out again it is a suspect: it runs while no other suspect does in its
 * process, and is counted before it runs. So a message that kills its process is soon alone when it does, and only it pays.
 *
 * A claim does not wait for the disk. What follows from it (a step's intent, effects, a settlement) is durable only with
 * everything before it in the log, the claim included; a claim that a crash of the server takes back took nothing with
 * it: its token is gone, so is every write that names it, and the delivery waits as it did before.
 */
import { defaults } from "../core/defaults.ts";
import type { Claim, Claimed, Want } from "../core/ports/store.ts";
import { bigints, texts, uuids } from "./binary.ts";
import type { Run } from "./accept.ts";

// claim: leases due deliveries of several consumers: on each level of priority, highest first, first attempts before retries.
// $1 wants: name, most, due_from (the due time claimed up to, by level; without to sweep from the start); $2 lease in ms. The bound
// stays a second behind: rows commit a little after their due time was read. As JSON, because the planner expects as much
// of any: of an array it knows the length, and would plan a prepared statement anew for each.
// Times come back as seconds since the epoch: as text they would hang on the session's DateStyle.
// A claim is a hash of its delivery under a random seed of 64 bits, new for each statement: to draw one for each row cost as
// much as to write it. Rows are named by an array of ids, so that the planner never scans the table for them.
const CLAIM = `-- claim
with setting as materialized (
  select set_config('synchronous_commit', 'off', true), uuid_hash_extended(gen_random_uuid(), 0) as seed
),
want as materialized (
  select
    c.id as consumer_id, c.name, w.most, w.due_from, nevertwice.levels(c.source) as levels
  from setting
  cross join json_to_recordset($1::json) as w (name text, most int, due_from json)
  join nevertwice.consumer c on c.name = w.name and c.paused_at is null
),
picked as materialized (
  select p.id, p.due_at, w.name
  from want w
  cross join lateral (
    select of_level.id, of_level.due_at
    from unnest(w.levels) as l (priority)
    cross join lateral (
      select coalesce(to_timestamp((w.due_from ->> l.priority::text)::float8) - interval '1 second', '-infinity') as due_from
    ) b
    cross join lateral (
      select first.id, first.due_at
      from (
        select d.id, d.due_at
        from nevertwice.delivery d
        where d.consumer_id = w.consumer_id
          and d.state = 'waiting'
          and d.priority = l.priority
          and d.due_at >= b.due_from
          and d.due_at <= (select nevertwice.clock())
        order by d.due_at
        limit w.most
        for update skip locked
      ) first
      union all
      select again.id, again.due_at
      from (
        select d.id, d.due_at
        from nevertwice.delivery d
        where d.consumer_id = w.consumer_id
          and d.state = 'retrying'
          and d.priority = l.priority
          and d.due_at >= b.due_from
          and d.due_at <= (select nevertwice.clock())
        order by d.due_at
        limit w.most
        for update skip locked
      ) again
    ) of_level
    limit w.most
  ) p
),
leased as (
  update nevertwice.delivery d
  set
    state = 'leased',
    claim = uuid_hash_extended(d.id, (select seed from setting)),
    due_at = (select nevertwice.clock()) + $2::float8 * interval '1 millisecond'
  where d.id = any (array(select id from picked))
  returning d.id, d.message_id, d.claim, d.attempts, d.priority, d.expires_at
)
select
  l.id, l.message_id, l.claim, l.attempts + 1 as attempt, p.name as consumer, l.priority,
  l.expires_at <= (select nevertwice.clock()) as expired,
  date_part('epoch', p.due_at) as due_at,
  m.tenant, m.source, m.key, m.topic, date_part('epoch', m.received_at) as received_at, m.suspected_replay_of, m.headers, m.body
from leased l
join picked p on p.id = l.id
cross join lateral (select * from nevertwice.message m where m.id = l.message_id limit 1) m
order by l.priority desc, p.due_at`;

// take over: one delivery whose lease ran out, or lies further ahead than any lease can (the clock was set back). It may have
// begun in time, so it does not expire.
// $1 consumers, $2 lease in ms, $3 worker.
const TAKE_OVER = `-- take over
with picked as materialized (
  select d.id, d.message_id, d.consumer_id, d.attempts, d.started, d.takeovers, d.claim, d.due_at
  from nevertwice.delivery d
  where d.consumer_id = any (array(
      select c.id from nevertwice.consumer c where c.name = any ($1::text[]) and c.paused_at is null
    ))
    and d.state = 'leased'
    and (
      d.due_at <= (select nevertwice.clock())
      or d.due_at > (select nevertwice.clock()) + ($2::float8 + 60000) * interval '1 millisecond'
    )
  order by d.due_at
  limit 1
  for update skip locked
),
lost as (
  insert into nevertwice.attempt
    (message_id, delivery_id, consumer_id, attempt, claim, outcome, ended_at, worker, error)
  select p.message_id, p.id, p.consumer_id, p.attempts, p.claim, 'lost', nevertwice.clock(), null,
    'its worker vanished; taken over by ' || $3::text
  from picked p
  where p.started
),
leased as (
  update nevertwice.delivery d
  set
    claim = uuid_hash_extended(gen_random_uuid(), 0),
    attempts = d.attempts + case when d.takeovers > 0 then 1 else 0 end,
    started = d.takeovers > 0,
    takeovers = least(d.takeovers + 1, 30000),
    due_at = nevertwice.clock() + $2::float8 * interval '1 millisecond'
  where d.id = (select id from picked)
  returning d.id, d.message_id, d.claim, d.attempts, d.consumer_id, d.started, d.priority
)
select
  l.id, l.message_id, l.claim, l.attempts + case when l.started then 0 else 1 end as attempt, l.started, c.name as consumer,
  l.priority,
  date_part('epoch', p.due_at) as due_at,
  m.tenant, m.source, m.key, m.topic, date_part('epoch', m.received_at) as received_at, m.suspected_replay_of, m.headers, m.body
from leased l
join picked p on p.id = l.id
join nevertwice.consumer c on c.id = l.consumer_id
cross join lateral (select * from nevertwice.message m where m.id = l.message_id limit 1) m`;

// renew: extends leases. A row locked by its own transaction is skipped: it cannot be taken over, and it is not lost.
// $1 deliveries, $2 claims, $3 lease in ms. Returns the claims that are no longer current.
const RENEW = `-- renew
with held as materialized (
  select h.id, h.claim
  from unnest($1::uuid[], $2::bigint[]) as h (id, claim)
),
mine as materialized (
  select d.id
  from nevertwice.delivery d
  where d.id = any ($1::uuid[])
    and exists (select from held h where h.id = d.id and h.claim = d.claim)
  order by d.id
  for no key update skip locked
),
renewed as (
  update nevertwice.delivery d
  set due_at = (select nevertwice.clock()) + $3::float8 * interval '1 millisecond'
  where d.id = any (array(select id from mine))
)
select h.claim
from held h
where not exists (select from nevertwice.delivery d where d.id = h.id and d.claim = h.claim)`;

// next due: how long until the first outstanding delivery of these consumers is due, or its lease ends; a while, where one waits
// for its children. $1 consumers, as JSON; $2 that while in ms.
const NEXT_DUE = `-- next due
select
  least(
    extract(epoch from min(n.due_at) - nevertwice.clock()) * 1000,
    case
      when exists (
        select
        from nevertwice.delivery b
        where b.consumer_id = any (array(
            select k.id
            from nevertwice.consumer k
            where k.name = any (array(select json_array_elements_text($1::json)))
          ))
          and b.state = 'blocked'
      )
      then $2::float8
    end
  ) as ms
from nevertwice.consumer c
cross join unnest(array['waiting', 'retrying', 'leased']) as s (state)
cross join lateral unnest(nevertwice.levels(c.source)) as l (priority)
cross join lateral (
  select d.due_at
  from nevertwice.delivery d
  where d.consumer_id = c.id and d.state = s.state and d.priority = l.priority
  order by d.due_at
  limit 1
) n
where c.paused_at is null
  and c.name = any (array(select json_array_elements_text($1::json)))`;

interface ClaimedRow {
  readonly id: string;
  readonly message_id: string;
  readonly claim: string;
  readonly attempt: number;
  readonly started?: boolean;
  readonly consumer: string;
  readonly due_at: number;
  readonly priority: number;
  readonly expired?: boolean | null;
  readonly tenant: string;
  readonly source: string;
  readonly key: string;
  readonly topic: string;
  readonly received_at: number;
  readonly suspected_replay_of: string | null;
  readonly headers: Record<string, string>;
  readonly body: Uint8Array;
}

function claimed(row: ClaimedRow, alone: boolean): Claimed {
  return {
    deliveryId: row.id,
    messageId: row.message_id,
    claim: row.claim,
    consumer: row.consumer,
    attempt: row.attempt,
    alone,
    suspect: row.started ?? false,
    dueAt: row.due_at,
    priority: row.priority,
    expired: row.expired ?? false,
    message: {
      id: row.message_id,
      tenant: row.tenant,
      source: row.source,
      key: row.key,
      topic: row.topic,
      headers: row.headers,
      body: row.body,
      receivedAt: new Date(row.received_at * 1_000),
      ...(row.suspected_replay_of === null ? {} : { suspectedReplayOf: row.suspected_replay_of }),
    },
  };
}

export async function claim(run: Run, wants: readonly Want[], leaseMs: number): Promise<readonly Claimed[]> {
  const { rows } = await run<ClaimedRow>(CLAIM, [
    JSON.stringify(
      wants.map(({ consumer: name, limit: most, dueFrom }) => ({
        name,
        most,
        due_from: dueFrom === undefined ? undefined : Object.fromEntries(dueFrom),
      })),
    ),
    leaseMs,
  ]);
  return rows.map((row) => claimed(row, false));
}

export async function takeOver(
  run: Run,
  consumers: readonly string[],
  leaseMs: number,
  worker: string,
): Promise<Claimed | undefined> {
  const { rows } = await run<ClaimedRow>(TAKE_OVER, [texts(consumers), leaseMs, worker]);
  return rows[0] === undefined ? undefined : claimed(rows[0], true);
}

export async function renew(run: Run, claims: readonly Claim[], leaseMs: number): Promise<readonly Claim[]> {
  const { rows } = await run<{ claim: string }>(RENEW, [
    uuids(claims.map((one) => one.deliveryId)),
    bigints(claims.map((one) => one.claim)),
    leaseMs,
  ]);
  const lost = new Set(rows.map((row) => row.claim));
  return claims.filter((one) => lost.has(one.claim));
}

export async function nextDueMs(run: Run, consumers: readonly string[]): Promise<number | undefined> {
  const { rows } = await run<{ ms: string | null }>(NEXT_DUE, [JSON.stringify(consumers), defaults.pollMs]);
  const ms = rows[0]?.ms;
  return ms === null || ms === undefined ? undefined : Math.max(0, Number(ms));
}
