-- 0001 core: what is received, what is owed, and what happened.
--
-- Runs under psql as it stands, in the schema `nevertwice`; the runner puts another schema's quoted name in its place.
--
-- Three kinds of table:
--   registered    consumer                                  few rows, read by every accept
--   outstanding   delivery, dead_letter, ledger             narrow, hot, rows come and go
--   history       message, attempt, step, duplicate         append-only, partitioned by the time in the message's id,
--                                                           so that all that is known about a message lives and is
--                                                           dropped together, and one id finds its partition

create schema if not exists nevertwice;

create table nevertwice.migration (
  number int primary key,
  name text not null,
  applied_at timestamptz not null default clock_timestamp()
);

-- All time about deliveries is read here. Only the test package replaces it.
create function nevertwice.clock() returns timestamptz
  language sql volatile parallel safe
  as $$ select clock_timestamp() $$;

-- The id of a delivery begins with the time in its message's id. So the deliveries of a message lie in one short stretch
-- of the primary key, `first_delivery` to `last_delivery`, and the hottest table needs no index on message_id: each claim
-- would have to write it again. What follows is a hash of message and consumer, so that the primary key itself allows one
-- original delivery for the two (and because a random one costs twenty times as much), or random, for a replay.
create function nevertwice.original_delivery_id(message uuid, consumer int) returns uuid
  language sql immutable parallel safe
  as $$
    select encode(
      overlay(uuid_send(message) placing substring(int8send(uuid_hash_extended(message, consumer)) from 2) from 10), 'hex'
    )::uuid
  $$;

create function nevertwice.replay_delivery_id(message uuid) returns uuid
  language sql volatile parallel safe
  as $$ select overlay(gen_random_uuid()::text placing left(message::text, 13) from 1 for 13)::uuid $$;

create function nevertwice.first_delivery(message uuid) returns uuid
  language sql immutable parallel safe
  as $$ select (left(message::text, 13) || '-0000-0000-000000000000')::uuid $$;

create function nevertwice.last_delivery(message uuid) returns uuid
  language sql immutable parallel safe
  as $$ select (left(message::text, 13) || '-ffff-ffff-ffffffffffff')::uuid $$;

-- A named receiver of topics. The accepting statement joins this table, so that a process that imports no handlers,
-- or an old one during a deploy, still writes every delivery. `topic_like` is the topic pattern as a LIKE pattern.
create table nevertwice.consumer (
  id int generated always as identity primary key,
  name text not null unique,
  source text not null,
  topic text not null,
  topic_like text not null,
  registered_at timestamptz not null default clock_timestamp(),
  declared_at timestamptz not null default clock_timestamp(),
  retired_at timestamptz
);

-- What was received, byte for byte.
create table nevertwice.message (
  id uuid not null primary key,
  tenant text not null,
  source text not null,
  key text not null,
  topic text not null,
  received_at timestamptz not null,
  suspected_replay_of uuid,
  headers json not null,
  body bytea not null
) partition by range (id);

-- By the hash of the key: a third of the index that the keys themselves would fill, and of its cost in each accept.
create index message_key on nevertwice.message (hashtext(key));

-- The ledger of keys: key_hash is the first half of sha-256 over (tenant, source, key), or, for a source whose
-- signature does not cover the id, over (tenant, source, signed bytes). It leads to the message and so to the outcome.
create table nevertwice.ledger (
  key_hash uuid primary key,
  body_hash uuid not null,
  message_id uuid not null
);

-- What is owed: one row per message and consumer until it is settled.
--   waiting    never run; due at due_at
--   retrying   run and failed; due again at due_at
--   leased     being run under `claim`; due_at is the end of the lease
-- No foreign key to consumer: its check would lock the consumer's row in every accept, and consumers are never deleted.
-- `attempts` counts executions that are known to have started; `started` says that the current one is among them.
-- `takeovers` counts leases that ran out since the last settlement: from the second one on it is suspected of killing its
-- process, runs while no other suspect does, and is counted before it runs.
create table nevertwice.delivery (
  id uuid not null primary key,
  message_id uuid not null,
  consumer_id int not null,
  due_at timestamptz not null,
  claim bigint,
  attempts smallint not null default 0,
  state text collate "C" not null default 'waiting',
  started boolean not null default false,
  takeovers smallint not null default 0,
  constraint delivery_state check (state in ('waiting', 'retrying', 'leased')),
  constraint delivery_claim check ((state = 'leased') = (claim is not null))
) with (
  fillfactor = 80,
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_threshold = 1000,
  autovacuum_analyze_scale_factor = 0.1,
  autovacuum_vacuum_cost_delay = 0
);

create index delivery_due on nevertwice.delivery (consumer_id, state, due_at);

-- The audit log: one row per counted execution, and one per settlement by hand. A row with a final outcome is the
-- settlement of its delivery, written in the transaction that removes the delivery; it carries the claim, so that
-- a lost COMMIT reply can be resolved.
--   final   completed, dead, cancelled
--   other   retry (failed, due again), lost (its worker vanished), superseded (its claim was taken over),
--           interrupted (given back by a shutdown, or put off because steps are paused; not counted)
create table nevertwice.attempt (
  message_id uuid not null,
  delivery_id uuid not null,
  consumer_id int not null,
  attempt smallint not null,
  reruns smallint not null default 0,
  claim bigint,
  outcome text collate "C" not null,
  started_at timestamptz,
  ended_at timestamptz not null,
  worker text,
  error text,
  constraint attempt_outcome check (
    outcome in ('completed', 'dead', 'cancelled', 'retry', 'lost', 'superseded', 'interrupted')
  )
) partition by range (message_id);

-- One settlement per delivery: the promise itself, as a constraint.
create unique index attempt_settlement on nevertwice.attempt (message_id, delivery_id)
  where outcome in ('completed', 'dead', 'cancelled');
create index attempt_history on nevertwice.attempt (message_id, delivery_id)
  where outcome not in ('completed', 'dead', 'cancelled');

-- Deliveries that used up their attempts or failed terminally, until they are replayed or dismissed.
create table nevertwice.dead_letter (
  delivery_id uuid not null primary key,
  message_id uuid not null,
  consumer_id int not null references nevertwice.consumer (id),
  attempts smallint not null,
  died_at timestamptz not null,
  error text not null
);

create index dead_letter_message on nevertwice.dead_letter (message_id);
create index dead_letter_consumer on nevertwice.dead_letter (consumer_id, died_at);

-- New deliveries made by hand, with their reason.
create table nevertwice.replay (
  delivery_id uuid not null primary key,
  message_id uuid not null,
  consumer_id int not null references nevertwice.consumer (id),
  replay_of uuid,
  replayed_at timestamptz not null,
  reason text not null
);

create index replay_message on nevertwice.replay (message_id);

-- Two people who replay the same delivery make one: of each delivery, and of a message that its consumer never had.
create unique index replay_once on nevertwice.replay (replay_of);
create unique index replay_first on nevertwice.replay (message_id, consumer_id) where replay_of is null;

-- Outside effects. A row without `ended_at` is an intent: its request may have left. It belongs to (message, consumer,
-- name), so that a replay finds it and two consumers never share one.
create table nevertwice.step (
  message_id uuid not null,
  consumer_id int not null,
  name text not null,
  idempotency_key text not null,
  claim bigint not null,
  tries smallint not null,
  started_at timestamptz not null,
  ended_at timestamptz,
  result json,
  error text,
  primary key (message_id, consumer_id, name)
) partition by range (message_id);

-- Copies of a message: how often it came again, and every other body that came under its key, kept as evidence.
create table nevertwice.duplicate (
  message_id uuid not null,
  received_at timestamptz not null,
  copies int not null,
  conflict boolean not null,
  headers json,
  body bytea
) partition by range (message_id);

create index duplicate_message on nevertwice.duplicate (message_id);

-- Requests that were refused before they cost anything: counted in memory, flushed per source and reason.
create table nevertwice.refusal (
  source text not null,
  reason text not null,
  counted_at timestamptz not null,
  refused int not null
);

create index refusal_counted on nevertwice.refusal (counted_at);

-- Whatever the clock of an accepting process says, its message has a place; the partitions of each week are made ahead
-- by the workers.
create table nevertwice.message_other partition of nevertwice.message default;
create table nevertwice.attempt_other partition of nevertwice.attempt default;
create table nevertwice.step_other partition of nevertwice.step default;
create table nevertwice.duplicate_other partition of nevertwice.duplicate default;
