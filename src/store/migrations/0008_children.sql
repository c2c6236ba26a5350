-- 0008 children: deliveries that wait for others, and the one place where outstanding deliveries are ended by hand.

-- A delivery that waits for its children has a state of its own, at which no claim looks:
--   blocked    waits for its children; due_at is when it is looked at next, should nobody have told that they have ended
-- Old rows have one of the three states of before: they are not read for it.
alter table nevertwice.delivery
  drop constraint delivery_state,
  add constraint delivery_state check (state in ('waiting', 'retrying', 'leased', 'blocked')) not valid;

-- Whether one of the children of a message and consumer is outstanding. Which are its children is kept among its steps, as
-- `children <group>`: no step of a handler has a space in its name. The last ones are looked at first, because they end last;
-- `limit` keeps the planner from reading all deliveries for it.
create function nevertwice.children_outstanding(message uuid, consumer int, step_name text default null) returns boolean
  language sql stable
  as $$
    select exists (
      select
      from nevertwice.step s
      cross join lateral (
        select c.id::uuid as id
        from json_array_elements_text(s.result -> 'ids') with ordinality as c (id, n)
        order by c.n desc
      ) c
      where s.message_id = message
        and s.consumer_id = consumer
        and s.name like 'children %'
        and (step_name is null or s.name = step_name)
        and (
          select true
          from nevertwice.delivery d
          where d.id between nevertwice.first_delivery(c.id) and nevertwice.last_delivery(c.id)
            and d.message_id = c.id
          limit 1
        )
    )
  $$;

-- Ends outstanding deliveries by hand: their rows go, and their settlement comes, with the reason. Locks are waited for, in the
-- order of the ids: what commits meanwhile is completed, and a run that goes on afterwards settles nothing. With `unbegun` those that
-- run, or wait for their children, are left alone. `ran` says of each whether it was claimed.
create function nevertwice.cancel_deliveries(ids uuid[], reason text, unbegun boolean default false)
  returns table (delivery_id uuid, message_id uuid, ran boolean)
  language plpgsql volatile
  as $$
  #variable_conflict use_column
  begin
    perform nevertwice.make_durable();
    return query
    with picked as materialized (
      select d.id
      from nevertwice.delivery d
      where d.id = any (ids)
        and (not unbegun or d.state in ('waiting', 'retrying'))
      order by d.id
      for update
    ),
    gone as (
      delete from nevertwice.delivery d
      where d.id = any (array(select p.id from picked p))
      returning d.id, d.message_id, d.consumer_id, d.attempts, d.claim
    ),
    recorded as (
      insert into nevertwice.attempt (message_id, delivery_id, consumer_id, attempt, claim, outcome, ended_at, error)
      select g.message_id, g.id, g.consumer_id, g.attempts, g.claim, 'cancelled', nevertwice.clock(), reason
      from gone g
    )
    select g.id, g.message_id, g.claim is not null
    from gone g;
  end
  $$;

-- As before, but for two things: what is replaced ends where all that is ended by hand does, and one that waits for its children
-- has begun: it is left as it is, as one that runs.
create or replace function nevertwice.put_unique(
  id uuid,
  topic text,
  payload bytea,
  key text,
  due_at timestamptz,
  priority smallint,
  expires_at timestamptz,
  tenant text,
  held text,
  window_ms float8,
  on_conflict text,
  out first_id uuid,
  out outcome text
)
  language plpgsql volatile
  as $$
  declare
    of_key uuid := nevertwice.key_hash(tenant, 'unique:' || topic, key);
    of_consumer int;
    holder record;
    there boolean;
  begin
    select c.id into of_consumer
    from nevertwice.consumer c
    where c.source = 'job' and c.topic = put_unique.topic and c.retired_at is null;
    if not found then
      raise 'NT_OPTION: expected the name of a job that is declared, got %', quote_nullable(left(topic, 60))
        using errcode = '22023';
    end if;
    -- A new time is an answer like any other, and no message follows it.
    perform nevertwice.make_durable();
    insert into nevertwice.unique_job (key_hash, message_id, delivery_id, held_until)
    values (
      of_key, put_unique.id, nevertwice.original_delivery_id(put_unique.id, of_consumer),
      nevertwice.clock() + window_ms * interval '1 millisecond'
    )
    on conflict do nothing;
    if not found then
      -- From here on nobody else decides about this key.
      select u.message_id, u.delivery_id, u.held_until into holder
      from nevertwice.unique_job u
      where u.key_hash = of_key
      for update;
      if holder.message_id = id then
        first_id := id;
        outcome := 'accepted';
        return;
      end if;
      there := case
        when held is null then holder.held_until > nevertwice.clock()
        else exists (
          select
          from nevertwice.delivery d
          where d.id = holder.delivery_id and (held = 'outstanding' or d.state in ('waiting', 'retrying'))
        )
      end;
      if there and on_conflict = 'replace' then
        -- The claim that is under way is waited for: then it runs, and is left alone.
        perform from nevertwice.cancel_deliveries(array[holder.delivery_id], 'replaced by ' || put_unique.id, true);
        outcome := case when found then 'replaced' else 'ignored' end;
      elsif there and on_conflict = 'reschedule' then
        update nevertwice.delivery d
        set due_at = put_unique.due_at, expires_at = put_unique.expires_at
        where d.id = holder.delivery_id and d.state in ('waiting', 'retrying');
        outcome := case when found then 'rescheduled' else 'ignored' end;
      elsif there then
        outcome := 'ignored';
      end if;
      if outcome in ('ignored', 'rescheduled') then
        first_id := holder.message_id;
        return;
      end if;
      update nevertwice.unique_job u
      set
        message_id = put_unique.id,
        delivery_id = nevertwice.original_delivery_id(put_unique.id, of_consumer),
        held_until = nevertwice.clock() + window_ms * interval '1 millisecond'
      where u.key_hash = of_key;
    end if;
    perform from nevertwice.put(id, 'job', topic, payload, null, due_at, priority, expires_at, tenant);
    first_id := id;
    outcome := coalesce(outcome, 'accepted');
  end
  $$;

-- `put_all` took its place in 0005. Nothing that was ever released calls it, and no process that knows 0005 does: the one that runs
-- beside this migration during a deploy is at most one deploy older, and started on a schema that had `put_all`.
drop function nevertwice.send_all(json);
