-- 0003 timeline: which history this database is on. A failover to an asynchronous standby, or a restore, goes back in time:
-- what was recorded after that point is gone, the results of steps included, and their requests would be made again. So a
-- step looks here before its request leaves, and waits until somebody has confirmed the timeline.

-- One row for each timeline that was seen; never deleted. A confirmation travels with the data: whoever goes back to a time
-- before it has lost it too, and a timeline that begins after it has another id.
create table nevertwice.timeline (
  id text primary key,
  seen_at timestamptz not null,
  confirmed_at timestamptz,
  note text
);

-- What tells the current one from any other, in four parts:
--   cluster    its system identifier: another after pg_upgrade, or where a dump was loaded elsewhere
--   database   its oid, as in the path of its files: another in a copy beside it (create database … template)
--   table      the oid of the row type of `timeline`: another where a dump was loaded over it
--   timeline   8 digits that rise with each promotion. From the name of the current log file: pg_control_checkpoint() shows
--              the old one until the next checkpoint
-- Null where the platform forbids to ask (Aurora answers 0A000 and 55000). But a server that cannot read its own files, or
-- is being shut down, forbids nothing: that is an error.
create function nevertwice.current_timeline() returns text
  language plpgsql volatile
  as $$
  begin
    return (pg_control_system()).system_identifier
      || '/' || split_part(pg_relation_filepath('pg_class'::regclass), '/', -2)
      || '/' || pg_typeof(null::nevertwice.timeline)::oid
      || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8);
  exception
    when insufficient_resources or operator_intervention or system_error or data_corrupted then
      raise;
    when others then
      return null;
  end
  $$;

-- What was accepted before this migration is on the timeline it finds.
insert into nevertwice.timeline (id, seen_at, confirmed_at, note)
select c.id, nevertwice.clock(), nevertwice.clock(), 'found by the migration'
from (select nevertwice.current_timeline() as id) c
where c.id is not null;

-- Whether a delivery was put off for this reason before: a pause may last for days, and is recorded once. A function, so that
-- it is planned where something is put off: in `settle` itself it made each settlement half as dear again.
create function nevertwice.put_off_before(message uuid, delivery uuid, reason text) returns boolean
  language sql stable
  as $$
    select exists (
      select
      from nevertwice.attempt a
      where a.message_id = message and a.delivery_id = delivery and a.outcome = 'interrupted' and a.error = reason
    )
  $$;
