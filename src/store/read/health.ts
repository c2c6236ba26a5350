import type { Reader } from "./reader.ts";

const SERVER = `-- doctor: the server
select
  current_setting('server_version') as version,
  current_setting('fsync') as fsync,
  current_setting('full_page_writes') as full_page_writes,
  current_setting('synchronous_commit') as synchronous_commit,
  current_setting('max_connections')::int as max_connections,
  pg_is_in_recovery() as in_recovery,
  current_user as role`;

// stuck: leases that ended long ago, and deliveries that fell due long ago and that nobody claimed. By consumer, state and level,
// as the index is: what is due next week costs nothing. One that waits for its children falls due when it is to be looked at. A paused consumer is late because somebody said so.
const STUCK = `-- doctor: stuck
select
  c.name as consumer,
  count(*) filter (where d.state = 'leased')::int as leases_over,
  count(*) filter (where d.state <> 'leased')::int as overdue,
  extract(epoch from (select nevertwice.clock()) - min(d.due_at))::float8 as longest_seconds
from nevertwice.consumer c
cross join unnest(array['waiting', 'retrying', 'leased', 'blocked']) as s (state)
cross join lateral unnest(nevertwice.levels(c.source)) as l (priority)
join nevertwice.delivery d
  on d.consumer_id = c.id
  and d.state = s.state
  and d.priority = l.priority
  and d.due_at < (select nevertwice.clock()) - interval '1 minute'
where c.retired_at is null
  and c.paused_at is null
group by c.name
order by c.name`;

const UNHANDLED = `-- doctor: topics of the last days that no consumer takes. $1 lowest message id
select m.source, m.topic, count(*)::int as messages
from nevertwice.message m
where m.id >= $1::uuid
  and not exists (
    select
    from nevertwice.consumer c
    where c.source = m.source and m.topic like c.topic_like and c.retired_at is null
  )
group by m.source, m.topic
order by messages desc
limit 20`;

// horizon: who keeps dead rows from being removed: sessions, prepared transactions and replication slots, oldest first.
const HORIZON = `-- doctor: the vacuum horizon
select kind, name, query, seconds
from (
  select
    'session' as kind,
    'pid ' || a.pid || ' (' || coalesce(a.application_name, '') || ', ' || coalesce(a.state, '') || ')' as name,
    left(a.query, 200) as query,
    extract(epoch from clock_timestamp() - coalesce(a.xact_start, a.query_start))::float8 as seconds,
    age(a.backend_xmin) as age
  from pg_catalog.pg_stat_activity a
  where a.backend_xmin is not null
    and a.pid <> pg_backend_pid()
    and coalesce(a.xact_start, a.query_start) < clock_timestamp() - interval '1 minute'
  union all
  select 'session', 'pid ' || a.pid || ' (idle in transaction)', left(a.query, 200),
    extract(epoch from clock_timestamp() - a.xact_start)::float8, age(a.backend_xid)
  from pg_catalog.pg_stat_activity a
  where a.backend_xmin is null
    and a.state like 'idle in transaction%'
    and a.xact_start < clock_timestamp() - interval '1 minute'
  union all
  select 'prepared transaction', p.gid, null, extract(epoch from clock_timestamp() - p.prepared)::float8, age(p.transaction)
  from pg_catalog.pg_prepared_xacts p
  where p.prepared < clock_timestamp() - interval '1 minute'
  union all
  select 'replication slot', s.slot_name, null, null, greatest(age(s.xmin), age(s.catalog_xmin))
  from pg_catalog.pg_replication_slots s
  where s.xmin is not null or s.catalog_xmin is not null
) pinned
order by age desc nulls last
limit 5`;

const REFUSALS = `-- doctor: refusals of the last day
select source, reason, sum(refused)::int as refused
from nevertwice.refusal
where counted_at > (select nevertwice.clock()) - interval '1 day'
group by source, reason
order by refused desc
limit 20`;

export interface Health {
  readonly server: {
    readonly version: string;
    readonly fsync: string;
    readonly full_page_writes: string;
    readonly synchronous_commit: string;
    readonly max_connections: number;
    readonly in_recovery: boolean;
    readonly role: string;
  };
  readonly stuck: readonly {
    readonly consumer: string;
    readonly leases_over: number;
    readonly overdue: number;
    readonly longest_seconds: number;
  }[];
  readonly unhandled: readonly { readonly source: string; readonly topic: string; readonly messages: number }[];
  readonly horizon: readonly {
    readonly kind: string;
    readonly name: string;
    readonly query: string | null;
    readonly seconds: number | null;
  }[];
  readonly refusals: readonly { readonly source: string; readonly reason: string; readonly refused: number }[];
}

export async function health(reader: Reader, lowestId: string): Promise<Health> {
  const read = async <Row>(text: string, values: readonly unknown[] = []): Promise<Row[]> =>
    (await reader.query<Row>(text, values)).rows;
  const [server] = await read<Health["server"]>(SERVER);
  return {
    server: server as Health["server"],
    stuck: await read(STUCK),
    unhandled: await read(UNHANDLED, [lowestId]),
    horizon: await read(HORIZON),
    refusals: await read(REFUSALS),
  };
}
