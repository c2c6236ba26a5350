import { defaults } from "../core/defaults.js";
import { booleans, byteas, floats, texts, uuids } from "./binary.js";
// accept: stores a batch and writes its deliveries.
// $1 ids, $2 tenants, $3 sources, $4 keys, $5 topics, $6 headers, $7 bodies, $8 key hashes, $9 body hashes,
// $10 replay hashes, $11 whether a suspected replay is refused, $12 delays in ms, $13 lock_timeout in ms.
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
    $10::uuid[], $11::boolean[], $12::float8[]
  ) as a (id, tenant, source, key, topic, headers, body, key_hash, body_hash, replay_hash, refuse, delay_ms)
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
  where not a.refuse
    or a.replay_hash is null
    or exists (select from first_body b where b.message_id = a.id)
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
  join first_key k on k.message_id = a.id
  returning id, suspected_replay_of
),
owed as (
  insert into nevertwice.delivery (id, message_id, consumer_id, due_at)
  select
    nevertwice.delivery_id(a.id), a.id, c.id, a.now + a.delay_ms * interval '1 millisecond'
  from arrival a
  join first_key k on k.message_id = a.id
  join nevertwice.consumer c on c.source = a.source and a.topic like c.topic_like and c.retired_at is null
)
select id, suspected_replay_of
from stored`;
// duplicates: what the ledger says about keys that were not inserted; counts copies with the same body.
// $1 ids, $2 key hashes, $3 body hashes, $4 replay hashes of those that are refused as replays.
const DUPLICATES = `-- duplicates
with arrival as materialized (
  select a.*
  from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[]) as a (id, key_hash, body_hash, replay_hash)
),
known as materialized (
  select
    a.id,
    case when l.key_hash is not null then l.message_id else r.message_id end as message_id,
    case
      when l.key_hash is null then 'replayed'
      when l.message_id = a.id then 'accepted'
      when l.body_hash = a.body_hash then 'duplicate'
      else 'conflict'
    end as kind
  from arrival a
  left join nevertwice.ledger l on l.key_hash = a.key_hash
  left join nevertwice.ledger r on r.key_hash = a.replay_hash
  where l.key_hash is not null or r.key_hash is not null
),
counted as (
  insert into nevertwice.duplicate (message_id, received_at, copies, conflict)
  select message_id, (select nevertwice.clock()), count(*), false
  from known
  where kind = 'duplicate'
  group by message_id
)
select id, message_id, kind
from known`;
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
export async function accept(run, arrivals) {
    const outcomes = new Map();
    let open = arrivals;
    for (let round = 0; open.length > 0; round++) {
        if (round === 5)
            throw new Error("a key was neither inserted nor found five times");
        for (const { id, suspected_replay_of } of await insert(run, open)) {
            outcomes.set(id, {
                kind: "accepted",
                id,
                ...(suspected_replay_of === null ? {} : { suspectedReplayOf: suspected_replay_of }),
            });
        }
        open = open.filter((arrival) => !outcomes.has(arrival.id));
        if (open.length === 0)
            break;
        await classify(run, open, outcomes);
        open = open.filter((arrival) => !outcomes.has(arrival.id));
    }
    return arrivals.map((arrival) => outcomes.get(arrival.id));
}
async function insert(run, arrivals) {
    const { rows } = await run(ACCEPT, [
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
        String(defaults.acceptLockTimeoutMs),
    ]);
    return rows;
}
async function classify(run, refused, outcomes) {
    const { rows } = await run(DUPLICATES, [
        uuids(refused.map((a) => a.id)),
        uuids(refused.map((a) => a.keyHash)),
        uuids(refused.map((a) => a.bodyHash)),
        uuids(refused.map((a) => (a.refuseReplay === true ? a.replayHash : null))),
    ]);
    const byId = new Map(refused.map((arrival) => [arrival.id, arrival]));
    const conflicts = [];
    for (const { id, message_id, kind } of rows) {
        const arrival = byId.get(id);
        if (kind === "conflict" && arrival !== undefined)
            conflicts.push({ messageId: message_id, arrival });
        outcomes.set(id, { kind, id: message_id });
    }
    if (conflicts.length > 0) {
        await run(CONFLICTS, [
            uuids(conflicts.map((c) => c.messageId)),
            texts(conflicts.map((c) => JSON.stringify(c.arrival.headers))),
            byteas(conflicts.map((c) => c.arrival.body)),
        ]);
    }
}
//# sourceMappingURL=accept.js.map