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
  readonly completed: number;
  readonly dead: number;
  readonly cancelled: number;
  readonly duplicates: number;
  readonly conflicts: number;
}

// list: messages, newest first. $1 source, $2 topic, $3 key, $4 state, $5 id before, $6 limit.
// The newest page reads the newest partition only; what is dead or outstanding is found from its own small table.
const LIST = `-- list
select
  m.id, m.tenant, m.source, m.key, m.topic, m.received_at, m.suspected_replay_of, octet_length(m.body) as bytes,
  owed.outstanding, ended.completed, buried.dead, ended.cancelled, copies.duplicates, copies.conflicts
from nevertwice.message m
cross join lateral (
  select count(*)::int as outstanding
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
where ($1::text is null or m.source = $1)
  and ($2::text is null or m.topic = $2)
  and ($3::text is null or m.key = $3)
  and ($5::uuid is null or m.id < $5)
  and ($4::text is distinct from 'dead' or m.id in (select l.message_id from nevertwice.dead_letter l))
  and ($4::text is distinct from 'outstanding' or m.id in (select d.message_id from nevertwice.delivery d))
  and ($4::text is distinct from 'duplicate' or copies.duplicates + copies.conflicts > 0)
  and ($4::text is distinct from 'completed' or (ended.completed > 0 and owed.outstanding = 0 and buried.dead = 0))
order by m.id desc
limit $6::int`;

export async function listMessages(reader: Reader, filter: ListFilter): Promise<readonly ListedMessage[]> {
  const { source, topic, key, state, before, limit } = filter;
  const values = [source, topic, key, state, before].map((value) => value ?? null);
  return (await reader.query<ListedMessage>(LIST, [...values, limit])).rows;
}
