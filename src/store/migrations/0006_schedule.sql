-- 0006 schedule: what is to be sent at which moments.
--
-- One row a schedule. Every slot up to `decided_to` is decided; whoever decides more moves it, and writes the messages, in one
-- transaction, if `turn` is still the one that was read. Each write about a schedule but the mark that it is declared counts
-- `turn`, so that a decision taken before a pause, a change, or another process's decision touches no row.
--
-- `definition` is a hash of what is declared, `replaced` those that it followed: a process of an older deploy declares one of
-- these, and is not listened to while somebody still declares the present one.
--
-- `next_at` is when to look again. It is a hint: only slots after `decided_to` count.

create table nevertwice.schedule (
  name text primary key,
  origin text collate "C" not null,
  topic text not null,
  cron text not null,
  zone text not null,
  missed text collate "C" not null,
  jitter_ms int not null,
  input json,
  definition text collate "C" not null,
  replaced text[] collate "C" not null default '{}',
  turn bigint not null default 0,
  decided_to timestamptz not null,
  next_at timestamptz,
  last_slot timestamptz,
  paused_at timestamptz,
  declared_at timestamptz not null,
  constraint schedule_origin check (origin in ('code', 'api')),
  constraint schedule_missed check (missed in ('skip', 'once', 'all')),
  constraint schedule_jitter check (jitter_ms between 0 and 86400000)
) with (fillfactor = 50);
