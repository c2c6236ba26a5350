/**
 * Accepting: one durable statement for a whole batch.
 *
 * ledger -> message -> delivery, in one statement and so in one transaction. `on conflict do nothing` absorbs copies;
 * keys go in sorted by their hash, because overlapping batches in any other order
 * deadlock. The consumers are joined from their table, never taken from this process's memory.
 *
 * Which of the refused keys are duplicates and which conflicts is asked in a second statement, each by its own body
 * hash: the first one's snapshot may not see the row that refused it. A key found neither inserted nor present (its
 * rival rolled back, or was pruned in between) is offered again. Of twins in one batch only the first is offered, and
 * where it was stored the others are measured by it. A batch of copies alone writes nothing, and waits for no disk.
 *
 * A message without a key of its own needs no line in the ledger: nobody else can offer it, and its own second offer, after a
 * COMMIT whose answer was lost, is refused by the primary key of the messages.
 *
 * Which of the batch were stored is looked up by a hashed subquery, not by a join: of a prepared statement the planner does
 * not know how long the arrays are, and compared each row of a batch of a thousand with each.
 *
 * `lock_timeout` and `synchronous_commit` are set by the statement itself, for its own transaction: behind a
 * transaction pooler there is no session to set them in. The latter is raised where it is lower, never lowered.
 */
import type { Acceptance, Arrival, Put } from "../core/ports/store.ts";
import { booleans, byteas, floats, texts, uuids } from "./binary.ts";
import { putUnique } from "./put.ts";

/** Runs a statement: apart (one transaction each), or in a handler's transaction. */
export type Run = <Row>(text: string, values: readonly unknown[]) => Promise<{ rows: Row[] }>;

// accept: stores a batch and writes its deliveries.
// $1 ids, $2 tenants, $3 sources, $4 keys, $5 topics, $6 headers, $7 bodies, $8 key hashes, $9 body hashes,
// $10 replay hashes, $11 whether a suspected replay is refused, $12 delays in ms, $13 lock_timeout in ms, and, null where no
// arrival has any: $14 times first due (ms since the epoch), $15 priorities, $16 ms from then to expiry.
const ACCEPT = `-- accept
with setting as materialized (
  select
    set_config('lock_timeout', $13, true),
    case
      when current_setting('synchronous_commit') in ('off', 'local', 'remote_write')
      then set_config('synchronous_commit', 'on', true)
    end,
    nevertwice.clock() as now
),
arrival as materialized (
  select a.*, s.now
  from setting s
  cross join unnest(
    $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[], $8::uuid[], $9::uuid[],
    $10::uuid[], $11::boolean[], $12::float8[], $14::float8[], $15::float8[], $16::float8[]
  ) as a (
    id, tenant, source, key, topic, headers, body, key_hash, body_hash, replay_hash, refuse, delay_ms, run_at_ms, priority,
    expire_ms
  )
),
first_body as (
  insert into nevertwice.ledger (key_hash, body_hash, message_id)
  select replay_hash, body_hash, id
  from arrival
  where replay_hash is not null
  order by replay_hash, id
  on conflict (key_hash) do nothing
  returning key_hash, message_id
),
first_key as (
  insert into nevertwice.ledger (key_hash, body_hash, message_id)
  select a.key_hash, a.body_hash, a.id
  from arrival a
  where a.key_hash is not null
    and (not a.refuse or a.replay_hash is null or exists (select from first_body b where b.message_id = a.id))
  order by a.key_hash, a.id
  on conflict (key_hash) do nothing
  returning message_id
),
stored as (
  insert into nevertwice.message (id, tenant, source, key, topic, received_at, suspected_replay_of, headers, body)
  select
    a.id, a.tenant, a.source, a.key, a.topic, a.now,
    case
      when a.replay_hash is not null and not exists (select from first_body b where b.message_id = a.id)
      then coalesce(
        (select b.message_id from first_body b where b.key_hash = a.replay_hash),
        (select l.message_id from nevertwice.ledger l where l.key_hash = a.replay_hash),
        '00000000-0000-0000-0000-000000000000'
      )
    end,
    a.headers::json, a.body
  from arrival a
  where a.key_hash is null
    or a.id in (select k.message_id from first_key k)
  on conflict do nothing
  returning id, suspected_replay_of
),
owed as (
  insert into nevertwice.delivery (id, message_id, consumer_id, due_at, priority, expires_at)
  select
    nevertwice.original_delivery_id(a.id, c.id), a.id, c.id, d.due_at, coalesce(a.priority, 0)::smallint,
    d.due_at + a.expire_ms * interval '1 millisecond'
  from arrival a
  join nevertwice.consumer c on c.source = a.source and a.topic like c.topic_like and c.retired_at is null
  cross join lateral (
    select coalesce(to_timestamp(a.run_at_ms / 1000), a.now + a.delay_ms * interval '1 millisecond') as due_at
  ) d
  where (a.id in (select s.id from stored s)) is true
)
select
  count(*)::int as count,
  case when count(*) <> cardinality($1::uuid[]) then array_agg(id::text) end as ids,
  json_object_agg(id, suspected_replay_of) filter (where suspected_replay_of is not null) as suspected
from stored`;

// known: what the ledger says about keys that were not inserted, and whether a message without one is there already.
// $1 ids, $2 key hashes, $3 body hashes, $4 replay hashes of those that are refused as replays.
const KNOWN = `-- known
select
  a.id,
  coalesce(m.id, l.message_id, r.message_id) as message_id,
  case
    when m.id is not null then 'accepted'
    when l.key_hash is null then 'replayed'
    when l.message_id = a.id then 'accepted'
    when l.body_hash = a.body_hash then 'duplicate'
    else 'conflict'
  end as kind
from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[]) as a (id, key_hash, body_hash, replay_hash)
left join nevertwice.ledger l on l.key_hash = a.key_hash
left join nevertwice.ledger r on r.key_hash = a.replay_hash
left join nevertwice.message m on m.id = a.id and a.key_hash is null
where l.key_hash is not null or r.key_hash is not null or m.id is not null`;

// copies: how often messages came again with the same body. $1 message ids, $2 copies.
const COPIES = `-- copies
insert into nevertwice.duplicate (message_id, received_at, copies, conflict)
select c.message_id, (select nevertwice.clock()), c.copies, false
from unnest($1::uuid[], $2::float8[]) as c (message_id, copies)`;

// conflicts: keeps other bodies under a known key as evidence; past sixteen of a message they are only counted.
// $1 message ids, $2 headers, $3 bodies.
const CONFLICTS = `-- conflicts
insert into nevertwice.duplicate (message_id, received_at, copies, conflict, headers, body)
select
  c.message_id, (select nevertwice.clock()), 1, true, c.headers::json,
  case
    when (select count(*) from nevertwice.duplicate d where d.message_id = c.message_id and d.body is not null) < 16
    then c.body
  end
from unnest($1::uuid[], $2::text[], $3::bytea[]) as c (message_id, headers, body)`;

/** `lockMs`: how long it waits for a key that somebody's open transaction holds. */
export async function accept(run: Run, arrivals: readonly Arrival[], lockMs: number): Promise<readonly Put[]> {
  const outcomes = new Map<Arrival, Put>();
  const unique = arrivals.filter((arrival) => arrival.unique !== undefined);
  if (unique.length > 0) {
    const put = await putUnique(run, unique, lockMs);
    unique.forEach((arrival, i) => outcomes.set(arrival, put[i] as Put));
  }
  let open = unique.length === 0 ? arrivals : arrivals.filter((arrival) => arrival.unique === undefined);
  for (let round = 0; open.length > 0; round++) {
    if (round === 5) throw new Error("a key was neither inserted nor found five times");
    const firsts = new Map<string, Arrival>();
    for (const arrival of open) if (!firsts.has(nameOf(arrival))) firsts.set(nameOf(arrival), arrival);
    const stored = await insert(run, [...firsts.values()], lockMs);
    const refused: Arrival[] = [];
    for (const arrival of open) {
      const first = firsts.get(nameOf(arrival)) as Arrival;
      const acceptance = stored(first);
      if (acceptance === undefined) refused.push(arrival);
      else if (arrival.id === first.id) outcomes.set(arrival, acceptance);
      else outcomes.set(arrival, { kind: sameBody(arrival, first), id: first.id });
    }
    if (refused.length > 0) await ask(run, refused, outcomes);
    open = open.filter((arrival) => !outcomes.has(arrival));
  }
  const conflicts = arrivals.filter((arrival) => outcomes.get(arrival)?.kind === "conflict");
  if (conflicts.length > 0) {
    await run(CONFLICTS, [
      uuids(conflicts.map((arrival) => outcomes.get(arrival)?.id)),
      texts(conflicts.map((arrival) => JSON.stringify(arrival.headers))),
      byteas(conflicts.map((arrival) => arrival.body)),
    ]);
  }
  return arrivals.map((arrival) => outcomes.get(arrival) as Put);
}

/** Nothing where nothing is said: most batches have no jobs in them. */
function some(values: readonly (number | undefined)[]): Buffer | null {
  return values.every((value) => value === undefined) ? null : floats(values);
}

/** What another offer of the same message has too. */
function nameOf({ keyHash, id }: Arrival): string {
  return keyHash ?? id;
}

function sameBody(one: Arrival, other: Arrival): "duplicate" | "conflict" {
  return one.bodyHash === other.bodyHash ? "duplicate" : "conflict";
}

/** Tells of each arrival how it was accepted; undefined where its key was refused. */
async function insert(
  run: Run,
  arrivals: readonly Arrival[],
  lockMs: number,
): Promise<(arrival: Arrival) => Acceptance | undefined> {
  const { rows } = await run<{ count: number; ids: string[] | null; suspected: Record<string, string> | null }>(
    ACCEPT,
    [
      uuids(arrivals.map((a) => a.id)),
      texts(arrivals.map((a) => a.tenant)),
      texts(arrivals.map((a) => a.source)),
      texts(arrivals.map((a) => a.key)),
      texts(arrivals.map((a) => a.topic)),
      texts(arrivals.map((a) => JSON.stringify(a.headers))),
      byteas(arrivals.map((a) => a.body)),
      uuids(arrivals.map((a) => a.keyHash)),
      uuids(arrivals.map((a) => a.bodyHash)),
      uuids(arrivals.map((a) => a.replayHash)),
      booleans(arrivals.map((a) => a.refuseReplay ?? false)),
      floats(arrivals.map((a) => a.delayMs ?? 0)),
      String(lockMs),
      some(arrivals.map((a) => a.runAtMs)),
      some(arrivals.map((a) => a.priority)),
      some(arrivals.map((a) => a.expireAfterMs)),
    ],
  );
  const [row] = rows;
  const stored = row?.count === arrivals.length ? undefined : new Set(row?.ids);
  return ({ id }) => {
    if (stored !== undefined && !stored.has(id)) return undefined;
    const suspectedReplayOf = row?.suspected?.[id];
    return suspectedReplayOf === undefined ? { kind: "accepted", id } : { kind: "accepted", id, suspectedReplayOf };
  };
}

async function ask(run: Run, refused: readonly Arrival[], outcomes: Map<Arrival, Put>): Promise<void> {
  const { rows } = await run<{ id: string; message_id: string; kind: Acceptance["kind"] }>(KNOWN, [
    uuids(refused.map((a) => a.id)),
    uuids(refused.map((a) => a.keyHash)),
    uuids(refused.map((a) => a.bodyHash)),
    uuids(refused.map((a) => (a.refuseReplay === true ? a.replayHash : null))),
  ]);
  const known = new Map(rows.map((row) => [row.id, row]));
  for (const arrival of refused) {
    const row = known.get(arrival.id);
    if (row !== undefined) outcomes.set(arrival, { kind: row.kind, id: row.message_id });
  }
}

export async function countCopies(run: Run, counts: readonly { messageId: string; copies: number }[]): Promise<void> {
  await run(COPIES, [uuids(counts.map((one) => one.messageId)), floats(counts.map((one) => one.copies))]);
}
