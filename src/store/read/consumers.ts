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
  /** Of those: waiting for their children. */
  readonly blocked: number;
  readonly dead: number;
  /** Seconds since the oldest outstanding delivery fell due; null when none is due. */
  readonly late_seconds: number | null;
}

const CONSUMERS = `-- list consumers
select
  c.name, c.source, c.topic, c.registered_at, c.declared_at, c.retired_at, c.paused_at,
  owed.outstanding, owed.blocked, buried.dead,
  extract(epoch from nevertwice.clock() - owed.oldest)::float8 as late_seconds
from nevertwice.consumer c
cross join lateral (
  select
    count(*)::int as outstanding,
    count(*) filter (where d.state = 'blocked')::int as blocked,
    min(d.due_at) filter (where d.state in ('waiting', 'retrying') and d.due_at <= (select nevertwice.clock())) as oldest
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
with setting as materialized (
  select nevertwice.make_durable(), nevertwice.clock() as now
)
update nevertwice.consumer c
set retired_at = coalesce(c.retired_at, s.now)
from setting s
where c.name = $1
returning c.id`;

// They are taken in the order of their index: to look for the lowest ids, each batch would read all that the consumer has.
const CANCEL = `-- cancel: settles what a retired consumer still has. $1 consumer id, $2 reason, $3 at most
with taken as materialized (
  select d.id
  from nevertwice.delivery d
  where d.consumer_id = $1::int
  order by d.state, d.priority, d.due_at
  limit $3::int
)
select c.delivery_id
from nevertwice.cancel_deliveries(array(select t.id from taken t), $2::text) c`;

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
