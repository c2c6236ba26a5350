import { isUuid } from "../../core/id.ts";
import type { Reader } from "./reader.ts";

// find message: by its id, by a delivery's id (which begins with the message's time), or by its key. $1 id.
// The attempts are asked in two halves, settlements and others, because each half has its index: so is `show attempts`.
const FIND = `-- find message
select m.id
from nevertwice.message m
where m.id = $1::uuid
union
select a.message_id
from nevertwice.attempt a
where a.message_id between nevertwice.first_delivery($1::uuid) and nevertwice.last_delivery($1::uuid)
  and a.delivery_id = $1::uuid
  and a.outcome in ('completed', 'dead', 'cancelled')
union
select a.message_id
from nevertwice.attempt a
where a.message_id between nevertwice.first_delivery($1::uuid) and nevertwice.last_delivery($1::uuid)
  and a.delivery_id = $1::uuid
  and a.outcome not in ('completed', 'dead', 'cancelled')
union
select d.message_id
from nevertwice.delivery d
where d.id = $1::uuid`;

const FIND_BY_KEY = `-- find message by key. $1 key
select m.id
from nevertwice.message m
where hashtext(m.key) = hashtext($1)
  and m.key = $1
  and m.key <> m.id::text
order by m.id desc
limit 20`;

const MESSAGE = `-- show message. $1 message
select m.id, m.tenant, m.source, m.key, m.topic, m.received_at, m.suspected_replay_of, m.headers, m.body
from nevertwice.message m
where m.id = $1::uuid`;

const DUPLICATES = `-- show duplicates. $1 message
select received_at, copies, conflict, headers, body
from nevertwice.duplicate
where message_id = $1::uuid
order by received_at`;

const DELIVERIES = `-- show deliveries: the outstanding and the settled ones. $1 message
select
  s.id, c.name as consumer, s.state, s.due_at, s.attempts, s.priority, s.expires_at, s.result, r.replay_of, r.replayed_at, r.reason,
  c.paused_at
from (
  select d.id, d.consumer_id, d.state, d.due_at, d.attempts, d.priority, d.expires_at, null::json as result
  from nevertwice.delivery d
  where d.id between nevertwice.first_delivery($1::uuid) and nevertwice.last_delivery($1::uuid)
    and d.message_id = $1::uuid
  union all
  select a.delivery_id, a.consumer_id, a.outcome, null, a.attempt, null, null, a.result
  from nevertwice.attempt a
  where a.message_id = $1::uuid
    and a.outcome in ('completed', 'dead', 'cancelled')
) s
join nevertwice.consumer c on c.id = s.consumer_id
left join nevertwice.replay r on r.delivery_id = s.id
order by c.name, r.replayed_at nulls first`;

const ATTEMPTS = `-- show attempts. $1 message
select a.delivery_id, a.attempt, a.reruns, a.outcome, a.started_at, a.ended_at, a.worker, a.error
from nevertwice.attempt a
where a.message_id = $1::uuid
  and a.outcome in ('completed', 'dead', 'cancelled')
union all
select a.delivery_id, a.attempt, a.reruns, a.outcome, a.started_at, a.ended_at, a.worker, a.error
from nevertwice.attempt a
where a.message_id = $1::uuid
  and a.outcome not in ('completed', 'dead', 'cancelled')
order by ended_at, attempt`;

const STEPS = `-- show steps. $1 message
select c.name as consumer, s.name as step, s.idempotency_key, s.tries, s.started_at, s.ended_at, s.result, s.error
from nevertwice.step s
join nevertwice.consumer c on c.id = s.consumer_id
where s.message_id = $1::uuid
  and s.name not like 'children %'
order by s.started_at`;

const CHILDREN = `-- show children: the groups, and how far each is. $1 message
select
  c.name as consumer, substr(s.name, length('children ') + 1) as name, s.result ->> 'job' as job,
  count(k.id)::int as children,
  count(*) filter (where owed.outstanding)::int as outstanding,
  count(*) filter (where buried.dead)::int as dead
from nevertwice.step s
join nevertwice.consumer c on c.id = s.consumer_id
left join lateral json_array_elements_text(s.result -> 'ids') as k (id) on true
left join lateral (
  select true as outstanding
  from nevertwice.delivery d
  where d.id between nevertwice.first_delivery(k.id::uuid) and nevertwice.last_delivery(k.id::uuid)
    and d.message_id = k.id::uuid
  limit 1
) owed on true
left join lateral (
  select true as dead
  from nevertwice.dead_letter l
  where l.message_id = k.id::uuid
  limit 1
) buried on true
where s.message_id = $1::uuid
  and s.name like 'children %'
group by c.name, s.name, s.result ->> 'job', s.started_at
order by s.started_at`;

const NOTES = `-- show notes: what handlers told on their way, the newest hundred. $1 message
select n.delivery_id, n.noted_at, n.progress, n.line
from (
  select n.delivery_id, n.noted_at, n.progress, n.line
  from nevertwice.note n
  where n.message_id = $1::uuid
  order by n.noted_at desc
  limit 100
) n
order by n.noted_at`;

export interface ShownDelivery {
  readonly id: string;
  readonly consumer: string;
  /** waiting, retrying, leased, blocked (it waits for its children); or how it ended: completed, dead, cancelled. */
  readonly state: string;
  readonly due_at: Date | null;
  readonly attempts: number;
  /** Of an outstanding one: -2 to 2, and when it is not begun any more. */
  readonly priority: number | null;
  readonly expires_at: Date | null;
  /** What a job returned. */
  readonly result: unknown;
  /** Its consumer is paused since then. */
  readonly paused_at: Date | null;
  readonly replay_of: string | null;
  readonly replayed_at: Date | null;
  readonly reason: string | null;
}

export interface ShownAttempt {
  readonly delivery_id: string;
  readonly attempt: number;
  readonly reruns: number;
  readonly outcome: string;
  readonly started_at: Date | null;
  readonly ended_at: Date;
  readonly worker: string | null;
  readonly error: string | null;
}

export interface ShownMessage {
  readonly message: {
    readonly id: string;
    readonly tenant: string;
    readonly source: string;
    readonly key: string;
    readonly topic: string;
    readonly received_at: Date;
    readonly suspected_replay_of: string | null;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: Buffer;
  };
  readonly duplicates: readonly {
    readonly received_at: Date;
    readonly copies: number;
    readonly conflict: boolean;
    readonly headers: Readonly<Record<string, string>> | null;
    readonly body: Buffer | null;
  }[];
  readonly deliveries: readonly ShownDelivery[];
  readonly attempts: readonly ShownAttempt[];
  readonly notes: readonly {
    readonly delivery_id: string;
    readonly noted_at: Date;
    readonly progress: number;
    readonly line: string | null;
  }[];
  /** Groups of children. */
  readonly children: readonly {
    readonly consumer: string;
    readonly name: string;
    readonly job: string;
    readonly children: number;
    readonly outstanding: number;
    readonly dead: number;
  }[];
  readonly steps: readonly {
    readonly consumer: string;
    readonly step: string;
    readonly idempotency_key: string;
    readonly tries: number;
    readonly started_at: Date;
    readonly ended_at: Date | null;
    readonly result: unknown;
    readonly error: string | null;
  }[];
}

/** The ids of the messages that a message id, a delivery id or a key names: one, none, or one a source. */
export async function findMessages(reader: Reader, named: string): Promise<readonly string[]> {
  const found = isUuid(named) ? (await reader.query<{ id: string }>(FIND, [named])).rows : [];
  const rows = found.length > 0 ? found : (await reader.query<{ id: string }>(FIND_BY_KEY, [named])).rows;
  return rows.map((row) => row.id);
}

/** All that is known about a message. */
export async function showMessage(reader: Reader, id: string): Promise<ShownMessage | undefined> {
  const read = async <Row>(text: string): Promise<Row[]> => (await reader.query<Row>(text, [id])).rows;
  const [message] = await read<ShownMessage["message"]>(MESSAGE);
  if (message === undefined) return undefined;
  return {
    message,
    duplicates: await read(DUPLICATES),
    deliveries: await read(DELIVERIES),
    attempts: await read(ATTEMPTS),
    notes: await read(NOTES),
    children: await read(CHILDREN),
    steps: await read(STEPS),
  };
}
