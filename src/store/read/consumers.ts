import type { Reader } from "./reader.ts";

export interface ListedConsumer {
  readonly name: string;
  readonly source: string;
  readonly topic: string;
  readonly registered_at: Date;
  readonly declared_at: Date;
  readonly retired_at: Date | null;
  readonly paused_at: Date | null;
  readonly outstanding: number;
  readonly dead: number;
  /** Seconds since the oldest outstanding delivery fell due; null when none is due. */
  readonly late_seconds: number | null;
}

const CONSUMERS = `-- list consumers
select
  c.name, c.source, c.topic, c.registered_at, c.declared_at, c.retired_at, c.paused_at,
  owed.outstanding, buried.dead,
  extract(epoch from nevertwice.clock() - owed.oldest)::float8 as late_seconds
from nevertwice.consumer c
cross join lateral (
  select
    count(*)::int as outstanding,
    min(d.due_at) filter (where d.state <> 'leased' and d.due_at <= (select nevertwice.clock())) as oldest
  from nevertwice.delivery d
  where d.consumer_id = c.id
) owed
cross join lateral (
  select count(*)::int as dead
  from nevertwice.dead_letter l
  where l.consumer_id = c.id
) buried
order by c.name`;

// retire: ends a consumer. It gets nothing more; what it still has is settled as cancelled, with the reason in the log.
// The row is updated first, so that an accept under way either sees it retired or is waited for by nobody: what slips in
// is cancelled by calling it again.
// $1 name.
const RETIRE = `-- retire
update nevertwice.consumer
set retired_at = coalesce(retired_at, nevertwice.clock())
where name = $1
returning id`;

// They are taken in the order of their index, then locked in the order of their ids, as everywhere: to look for the lowest
// ids, each batch would read all that the consumer has.
const CANCEL = `-- cancel: settles what a retired consumer still has. $1 consumer id, $2 reason, $3 at most
with taken as materialized (
  select d.id
  from nevertwice.delivery d
  where d.consumer_id = $1::int
  order by d.state, d.priority, d.due_at
  limit $3::int
),
picked as materialized (
  select d.id
  from nevertwice.delivery d
  where d.id = any (array(select id from taken))
  order by d.id
  for update
),
gone as (
  delete from nevertwice.delivery d
  where d.id = any (array(select id from picked))
  returning d.id, d.message_id, d.consumer_id, d.attempts, d.claim
)
insert into nevertwice.attempt (message_id, delivery_id, consumer_id, attempt, claim, outcome, ended_at, error)
select g.message_id, g.id, g.consumer_id, g.attempts, g.claim, 'cancelled', nevertwice.clock(), $2::text
from gone g
returning delivery_id`;

export async function listConsumers(reader: Reader): Promise<readonly ListedConsumer[]> {
  return (await reader.query<ListedConsumer>(CONSUMERS)).rows;
}

/** How many outstanding deliveries were cancelled; undefined when there is no such consumer. */
export async function retireConsumer(reader: Reader, name: string, reason: string): Promise<number | undefined> {
  const [row] = (await reader.query<{ id: number }>(RETIRE, [name])).rows;
  if (row === undefined) return undefined;
  const batch = 1_000;
  for (let cancelled = 0; ;) {
    const { rows } = await reader.query(CANCEL, [row.id, `consumer retired: ${reason}`, batch]);
    cancelled += rows.length;
    if (rows.length === 0) return cancelled;
  }
}
