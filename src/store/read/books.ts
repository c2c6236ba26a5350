/**
 * The books: what must be true of our own bookkeeping at every moment. Each statement returns offenders, at most a
 * hundred. That the effects themselves took place once is not read from here: it is proved from outside.
 */
import type { Reader } from "./reader.ts";

export interface Offence {
  readonly rule: string;
  readonly message_id: string | null;
  readonly delivery_id: string | null;
  readonly consumer: string | null;
  readonly found: string;
}

// A message that was accepted within the second in which its consumer was registered may lack its delivery: the accept may
// have begun before the registration committed.
const ORIGINALS = `-- books: every message kept has exactly one original delivery for every consumer registered when it was accepted
select
  'one original delivery for each consumer registered at the time' as rule,
  m.id as message_id, null::uuid as delivery_id, c.name as consumer, found.deliveries || ' original deliveries' as found
from nevertwice.message m
join nevertwice.consumer c
  on c.source = m.source
  and m.topic like c.topic_like
  and c.registered_at < m.received_at - interval '1 second'
  and (c.retired_at is null or c.retired_at > m.received_at)
cross join lateral (
  select count(*) as deliveries
  from (
    select d.id
    from nevertwice.delivery d
    where d.id between nevertwice.first_delivery(m.id) and nevertwice.last_delivery(m.id)
      and d.message_id = m.id
      and d.consumer_id = c.id
    union
    select a.delivery_id
    from nevertwice.attempt a
    where a.message_id = m.id
      and a.consumer_id = c.id
      and a.outcome in ('completed', 'dead', 'cancelled')
  ) o
  where not exists (select from nevertwice.replay r where r.delivery_id = o.id)
) found
where found.deliveries <> 1
limit 100`;

const TWICE = `-- books: a delivery is outstanding or settled, never both
select
  'outstanding or settled, never both' as rule,
  d.message_id, d.id as delivery_id, c.name as consumer, 'outstanding, and ' || a.outcome as found
from nevertwice.delivery d
join nevertwice.attempt a
  on a.message_id = d.message_id and a.delivery_id = d.id and a.outcome in ('completed', 'dead', 'cancelled')
left join nevertwice.consumer c on c.id = d.consumer_id
limit 100`;

const NEITHER = `-- books: every delivery that was ever begun or replayed is outstanding or has its settlement
select
  'outstanding or settled, never neither' as rule,
  k.message_id, k.delivery_id, c.name as consumer, 'neither outstanding nor settled' as found
from (
  select message_id, delivery_id, consumer_id
  from nevertwice.attempt
  where outcome not in ('completed', 'dead', 'cancelled')
  union
  select message_id, delivery_id, consumer_id
  from nevertwice.replay
) k
left join nevertwice.consumer c on c.id = k.consumer_id
where not exists (select from nevertwice.delivery d where d.id = k.delivery_id)
  and not exists (
    select
    from nevertwice.attempt a
    where a.message_id = k.message_id
      and a.delivery_id = k.delivery_id
      and a.outcome in ('completed', 'dead', 'cancelled')
  )
limit 100`;

const ORPHANS = `-- books: every delivery has its message
select
  'every outstanding delivery has its message' as rule,
  d.message_id, d.id as delivery_id, c.name as consumer, 'no message' as found
from nevertwice.delivery d
left join nevertwice.consumer c on c.id = d.consumer_id
where not exists (select from nevertwice.message m where m.id = d.message_id)
limit 100`;

const DEAD = `-- books: a dead letter is a delivery that was settled as dead, and the other way round until it is replayed
select
  'a dead letter for each delivery settled as dead, until it is replayed' as rule,
  k.message_id, k.delivery_id, c.name as consumer, k.found
from (
  select l.message_id, l.delivery_id, l.consumer_id, 'a dead letter without its settlement' as found
  from nevertwice.dead_letter l
  where not exists (
    select
    from nevertwice.attempt a
    where a.message_id = l.message_id and a.delivery_id = l.delivery_id and a.outcome = 'dead'
  )
  union all
  select a.message_id, a.delivery_id, a.consumer_id, 'settled as dead, without a dead letter or a replay'
  from nevertwice.attempt a
  where a.outcome = 'dead'
    and not exists (select from nevertwice.dead_letter l where l.delivery_id = a.delivery_id)
    and not exists (select from nevertwice.replay r where r.replay_of = a.delivery_id)
) k
left join nevertwice.consumer c on c.id = k.consumer_id
limit 100`;

const COUNTED = `-- books: how much was looked at
select
  (select count(*)::int from nevertwice.message) as messages,
  (select count(*)::int from nevertwice.delivery) as outstanding,
  (
    select count(*)::int
    from nevertwice.attempt
    where outcome in ('completed', 'dead', 'cancelled')
  ) as settled`;

export interface Books {
  readonly messages: number;
  readonly outstanding: number;
  readonly settled: number;
  readonly offences: readonly Offence[];
}

export async function verifyBooks(reader: Reader): Promise<Books> {
  const { rows } = await reader.query<Omit<Books, "offences">>(COUNTED);
  const offences: Offence[] = [];
  for (const rule of [ORIGINALS, TWICE, NEITHER, ORPHANS, DEAD]) {
    offences.push(...(await reader.query<Offence>(rule)).rows);
  }
  return { messages: 0, outstanding: 0, settled: 0, ...rows[0], offences };
}
