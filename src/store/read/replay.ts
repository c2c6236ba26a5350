/**
 * Replay: a new delivery of a message to a consumer, with `replay_of` naming the one before it. Steps and their keys
 * belong to (message, consumer, step), so a replay finds what was done and does not do it again.
 */
import { texts, uuids } from "../binary.ts";
import type { Reader } from "./reader.ts";

/** What a replay would be of: the newest delivery of a message to a consumer. */
export interface Candidate {
  readonly message_id: string;
  readonly consumer: string;
  /** null: the consumer never had this message. */
  readonly delivery_id: string | null;
  /** outstanding, completed, dead, cancelled, or never. */
  readonly state: string;
}

// The newest delivery of each consumer of some messages: an outstanding one, or the settled one that no replay names.
const NEWEST = `-- replay candidates: by message or by delivery. $1 messages, $2 deliveries, null for all, $3 consumer or null
select s.message_id, c.name as consumer, s.delivery_id, s.state
from (
  select d.message_id, d.consumer_id, d.id as delivery_id, 'outstanding' as state
  from unnest($1::uuid[]) as m (id)
  join nevertwice.delivery d
    on d.id between nevertwice.first_delivery(m.id) and nevertwice.last_delivery(m.id) and d.message_id = m.id
  union all
  select a.message_id, a.consumer_id, a.delivery_id, a.outcome
  from nevertwice.attempt a
  where a.message_id = any ($1::uuid[])
    and a.outcome in ('completed', 'dead', 'cancelled')
    and not exists (select from nevertwice.replay r where r.replay_of = a.delivery_id)
) s
join nevertwice.consumer c on c.id = s.consumer_id
where ($2::uuid[] is null or s.delivery_id = any ($2::uuid[]))
  and ($3::text is null or c.name = $3)
order by s.message_id, c.name`;

const DEAD = `-- replay candidates: the dead letters. $1 consumer or null, $2 since or null, $3 limit
select l.message_id, c.name as consumer, l.delivery_id, 'dead' as state
from nevertwice.dead_letter l
join nevertwice.consumer c on c.id = l.consumer_id
where ($1::text is null or c.name = $1)
  and ($2::timestamptz is null or l.died_at >= $2)
order by l.died_at
limit $3::int`;

const NEVER_HAD = `-- replay candidates: older messages that a new consumer never had. $1 consumer, $2 since, $3 lowest id, $4 limit
select m.id as message_id, c.name as consumer, null::uuid as delivery_id, 'never' as state
from nevertwice.consumer c
join nevertwice.message m on m.source = c.source and m.topic like c.topic_like
where c.name = $1
  and m.received_at >= $2::timestamptz
  and m.id >= $3::uuid
  and not exists (
    select
    from nevertwice.delivery d
    where d.id between nevertwice.first_delivery(m.id) and nevertwice.last_delivery(m.id)
      and d.message_id = m.id
      and d.consumer_id = c.id
  )
  and not exists (
    select
    from nevertwice.attempt a
    where a.message_id = m.id
      and a.consumer_id = c.id
      and a.outcome in ('completed', 'dead', 'cancelled')
  )
order by m.id
limit $4::int`;

// replay: makes the new deliveries. The message's row is locked, so that housekeeping cannot drop its partition meanwhile;
// two replays of the same delivery at once make one, by a unique index.
// $1 messages, $2 consumers, $3 deliveries replayed, null for none, $4 reason.
const REPLAY = `-- replay
with asked as materialized (
  select a.*, c.id as consumer_id
  from unnest($1::uuid[], $2::text[], $3::uuid[]) as a (message_id, consumer, replay_of)
  join nevertwice.consumer c on c.name = a.consumer and c.retired_at is null
),
kept as materialized (
  select m.id
  from nevertwice.message m
  where m.id = any ($1::uuid[])
  order by m.id
  for key share
),
replayed as (
  insert into nevertwice.replay (delivery_id, message_id, consumer_id, replay_of, replayed_at, reason)
  select nevertwice.replay_delivery_id(a.message_id), a.message_id, a.consumer_id, a.replay_of, nevertwice.clock(), $4::text
  from asked a
  join kept k on k.id = a.message_id
  order by a.replay_of
  on conflict do nothing
  returning delivery_id, message_id, consumer_id, replay_of
),
revived as (
  delete from nevertwice.dead_letter
  where delivery_id = any (array(select replay_of from replayed))
),
owed as (
  insert into nevertwice.delivery (id, message_id, consumer_id, due_at)
  select delivery_id, message_id, consumer_id, nevertwice.clock()
  from replayed
)
select r.delivery_id, r.message_id, c.name as consumer, r.replay_of
from replayed r
join nevertwice.consumer c on c.id = r.consumer_id`;

export async function newestDeliveries(
  reader: Reader,
  messages: readonly string[],
  options: { deliveries?: readonly string[] | undefined; consumer?: string | undefined },
): Promise<readonly Candidate[]> {
  const deliveries = options.deliveries === undefined ? null : uuids(options.deliveries);
  return (await reader.query<Candidate>(NEWEST, [uuids(messages), deliveries, options.consumer ?? null])).rows;
}

export async function deadLetters(
  reader: Reader,
  options: { consumer?: string | undefined; since?: Date | undefined; limit: number },
): Promise<readonly Candidate[]> {
  return (await reader.query<Candidate>(DEAD, [options.consumer ?? null, options.since ?? null, options.limit])).rows;
}

export async function neverHad(
  reader: Reader,
  options: { consumer: string; since: Date; lowestId: string; limit: number },
): Promise<readonly Candidate[]> {
  const values = [options.consumer, options.since, options.lowestId, options.limit];
  return (await reader.query<Candidate>(NEVER_HAD, values)).rows;
}

export interface Replayed {
  readonly delivery_id: string;
  readonly message_id: string;
  readonly consumer: string;
  readonly replay_of: string | null;
}

/** The deliveries that were made; a candidate that somebody else replayed meanwhile is not among them. */
export async function replay(reader: Reader, of: readonly Candidate[], reason: string): Promise<readonly Replayed[]> {
  const { rows } = await reader.query<Replayed>(REPLAY, [
    uuids(of.map((one) => one.message_id)),
    texts(of.map((one) => one.consumer)),
    uuids(of.map((one) => one.delivery_id)),
    reason,
  ]);
  return rows;
}
