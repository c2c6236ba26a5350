-- 0004 jobs: work of our own with an order of importance, a last moment, a result, and a key that is unique for a while.

-- Only jobs have other levels than 0. There are five, so that a claim can ask for each of them by its index: an order over any
-- number would make it read what is due next week on a higher level first.
alter table nevertwice.delivery
  add column priority smallint not null default 0,
  add column expires_at timestamptz,
  add constraint delivery_priority check (priority between -2 and 2);

drop index nevertwice.delivery_due;
create index delivery_due on nevertwice.delivery (consumer_id, state, priority, due_at);

-- The levels on which deliveries of a source can be, highest first.
create function nevertwice.levels(source text) returns smallint[]
  language sql immutable parallel safe
  as $$ select case when source = 'job' then '{2,1,0,-1,-2}'::smallint[] else '{0}'::smallint[] end $$;

-- What a paused consumer has is kept and not claimed.
alter table nevertwice.consumer add column paused_at timestamptz;

-- What a job returned, in the row of its completion.
alter table nevertwice.attempt add column result json;

-- How far a handler says it is, and what it has to tell on the way. Append-only, beside the rest of its message's history;
-- the runner makes its partitions.
create table nevertwice.note (
  message_id uuid not null,
  delivery_id uuid not null,
  claim bigint not null,
  noted_at timestamptz not null,
  progress real,
  line text
) partition by range (message_id);

create index note_message on nevertwice.note (message_id);
create table nevertwice.note_other partition of nevertwice.note default;

-- Who holds a key that is unique for a while: until `held_until`, or, without it, as long as the delivery is outstanding.
-- Nothing is written here when a job ends: whoever wants the key looks whether its holder is still there.
create table nevertwice.unique_job (
  key_hash uuid primary key,
  message_id uuid not null,
  delivery_id uuid not null,
  held_until timestamptz
);
