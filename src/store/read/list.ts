/**
 * A page of messages, newest first, in two statements: which messages, and where each stands. What is asked for decides
 * where the first one looks: what is outstanding, dead or came again is found from its own small table, so that ten old dead
 * letters cost no walk over all that was kept since. A source, a topic, and what completed are read off the messages
 * themselves, newest first, until the page is full: an index for them would cost every accept.
 */
import { uuids } from "../binary.ts";
import type { Reader } from "./reader.ts";

export interface ListFilter {
  readonly source?: string | undefined;
  readonly topic?: string | undefined;
  readonly key?: string | undefined;
  readonly state?: "outstanding" | "dead" | "completed" | "duplicate" | undefined;
  /** A message id: older ones only. */
  readonly before?: string | undefined;
  readonly limit: number;
}

export interface ListedMessage {
  readonly id: string;
  readonly tenant: string;
  readonly source: string;
  readonly key: string;
  readonly topic: string;
  readonly received_at: Date;
  readonly suspected_replay_of: string | null;
  readonly bytes: number;
  readonly outstanding: number;
  /** Of those: waiting for their children. */
  readonly blocked: number;
  readonly completed: number;
  readonly dead: number;
  readonly cancelled: number;
  readonly duplicates: number;
  readonly conflicts: number;
}

// The five lists have the same parameters: $1 source, $2 topic, $3 key, $4 id before, $5 limit.
const ALL = `-- list all
select m.id
from nevertwice.message m
where ($1::text is null or m.source = $1)
  and ($2::text is null or m.topic = $2)
  and ($3::text is null or (hashtext(m.key) = hashtext($3) and m.key = $3 and m.key <> m.id::text))
  and ($4::uuid is null or m.id < $4)
order by m.id desc
limit $5::int`;

// Here and below, `limit 1` keeps the planner from turning the join round: it believes that the dead are spread over all
// messages, and would walk down all of them to meet the first. In order before the join, so that it ends with the page.
const OUTSTANDING = `-- list outstanding
select owed.message_id as id
from (
  select distinct d.message_id
  from nevertwice.delivery d
  where $4::uuid is null or d.message_id < $4
  order by d.message_id desc
) owed
cross join lateral (
  select
  from nevertwice.message m
  where m.id = owed.message_id
    and ($1::text is null or m.source = $1)
    and ($2::text is null or m.topic = $2)
    and ($3::text is null or (hashtext(m.key) = hashtext($3) and m.key = $3 and m.key <> m.id::text))
  limit 1
) m
order by owed.message_id desc
limit $5::int`;

const DEAD = `-- list dead
select buried.message_id as id
from (
  select distinct l.message_id
  from nevertwice.dead_letter l
  where $4::uuid is null or l.message_id < $4
  order by l.message_id desc
) buried
cross join lateral (
  select
  from nevertwice.message m
  where m.id = buried.message_id
    and ($1::text is null or m.source = $1)
    and ($2::text is null or m.topic = $2)
    and ($3::text is null or (hashtext(m.key) = hashtext($3) and m.key = $3 and m.key <> m.id::text))
  limit 1
) m
order by buried.message_id desc
limit $5::int`;

const DUPLICATE = `-- list duplicate
select again.message_id as id
from (
  select distinct c.message_id
  from nevertwice.duplicate c
  where $4::uuid is null or c.message_id < $4
  order by c.message_id desc
) again
cross join lateral (
  select
  from nevertwice.message m
  where m.id = again.message_id
    and ($1::text is null or m.source = $1)
    and ($2::text is null or m.topic = $2)
    and ($3::text is null or (hashtext(m.key) = hashtext($3) and m.key = $3 and m.key <> m.id::text))
  limit 1
) m
order by again.message_id desc
limit $5::int`;

const COMPLETED = `-- list completed: by every consumer that has it
select m.id
from nevertwice.message m
where ($1::text is null or m.source = $1)
  and ($2::text is null or m.topic = $2)
  and ($3::text is null or (hashtext(m.key) = hashtext($3) and m.key = $3 and m.key <> m.id::text))
  and ($4::uuid is null or m.id < $4)
  and exists (select from nevertwice.attempt a where a.message_id = m.id and a.outcome = 'completed')
  and not exists (
    select
    from nevertwice.delivery d
    where d.id between nevertwice.first_delivery(m.id) and nevertwice.last_delivery(m.id)
      and d.message_id = m.id
  )
  and not exists (select from nevertwice.dead_letter l where l.message_id = m.id)
order by m.id desc
limit $5::int`;

const STANDING = `-- list: where each message of a page stands. $1 messages
select
  m.id, m.tenant, m.source, m.key, m.topic, m.received_at, m.suspected_replay_of, octet_length(m.body) as bytes,
  owed.outstanding, owed.blocked, ended.completed, buried.dead, ended.cancelled, copies.duplicates, copies.conflicts
from nevertwice.message m
cross join lateral (
  select count(*)::int as outstanding, count(*) filter (where d.state = 'blocked')::int as blocked
  from nevertwice.delivery d
  where d.id between nevertwice.first_delivery(m.id) and nevertwice.last_delivery(m.id)
    and d.message_id = m.id
) owed
cross join lateral (
  select
    count(*) filter (where a.outcome = 'completed')::int as completed,
    count(*) filter (where a.outcome = 'cancelled')::int as cancelled
  from nevertwice.attempt a
  where a.message_id = m.id
    and a.outcome in ('completed', 'dead', 'cancelled')
) ended
cross join lateral (
  select count(*)::int as dead
  from nevertwice.dead_letter l
  where l.message_id = m.id
) buried
cross join lateral (
  select
    coalesce(sum(c.copies) filter (where not c.conflict), 0)::int as duplicates,
    coalesce(sum(c.copies) filter (where c.conflict), 0)::int as conflicts
  from nevertwice.duplicate c
  where c.message_id = m.id
) copies
where m.id = any ($1::uuid[])
order by m.id desc`;

const LISTS = { outstanding: OUTSTANDING, dead: DEAD, duplicate: DUPLICATE, completed: COMPLETED } as const;

export async function listMessages(reader: Reader, filter: ListFilter): Promise<readonly ListedMessage[]> {
  const { source, topic, key, state, before, limit } = filter;
  const values = [...[source, topic, key, before].map((value) => value ?? null), limit];
  const { rows } = await reader.query<{ id: string }>(state === undefined ? ALL : LISTS[state], values);
  if (rows.length === 0) return [];
  return (await reader.query<ListedMessage>(STANDING, [uuids(rows.map((row) => row.id))])).rows;
}
