-- 0005 put: jobs from whatever can run SQL, and the one place where a message of our own is stored by itself.
--
--   select nevertwice.enqueue('mail', '{"to": "a@example.org"}', key => 'welcome-7', run_at => now() + interval '1 hour');
--
-- As `send`, it takes part in the transaction that calls.

-- The part of a message's key that is not the sender's: keys of different jobs never meet.
create function nevertwice.key_scope(source text, topic text) returns text
  language sql immutable parallel safe
  as $$ select case when source = 'job' then 'job:' || topic else source end $$;

-- What this transaction writes is to be durable: raised where it is lower, never lowered.
create function nevertwice.make_durable() returns void
  language plpgsql volatile
  as $$
  begin
    if current_setting('synchronous_commit') in ('off', 'local', 'remote_write') then
      perform set_config('synchronous_commit', 'on', true);
    end if;
  end
  $$;

-- Stores one message of our own with its deliveries, or says what its key is known for. `outcome` is accepted, duplicate (the
-- key is known with the same body) or conflict (with another body, which is kept); `first_id` is then the first message's.
create function nevertwice.put(
  id uuid,
  source text,
  topic text,
  payload bytea,
  key text,
  due_at timestamptz,
  priority smallint,
  expires_at timestamptz,
  tenant text,
  out first_id uuid,
  out outcome text
)
  language plpgsql volatile
  as $$
  declare
    of_key uuid;
    of_body uuid := left(encode(sha256(payload), 'hex'), 32)::uuid;
  begin
    if topic is null or topic !~ '^[\x21-\x7e]{1,200}$' then
      raise 'NT_OPTION: expected a topic of 1 to 200 printable characters without spaces, got %', quote_nullable(left(topic, 60))
        using errcode = '22023';
    end if;
    if length(key) not between 1 and 512 then
      raise 'NT_OPTION: expected a key of 1 to 512 characters, got %', quote_nullable(left(key, 60)) using errcode = '22023';
    end if;
    if payload is null or tenant is null or due_at is null then
      raise 'NT_OPTION: expected a payload, a tenant and a time' using errcode = '22023';
    end if;
    perform nevertwice.make_durable();
    key := coalesce(key, id::text);
    of_key := nevertwice.key_hash(tenant, nevertwice.key_scope(source, topic), key);
    for tries in 1..5 loop
      insert into nevertwice.ledger as l (key_hash, body_hash, message_id)
      values (of_key, of_body, put.id)
      on conflict do nothing;
      if found then
        insert into nevertwice.message (id, tenant, source, key, topic, received_at, headers, body)
        values (put.id, put.tenant, put.source, put.key, put.topic, nevertwice.clock(), '{}', put.payload);
        insert into nevertwice.delivery (id, message_id, consumer_id, due_at, priority, expires_at)
        select nevertwice.original_delivery_id(put.id, c.id), put.id, c.id, put.due_at, put.priority, put.expires_at
        from nevertwice.consumer c
        where c.source = put.source and put.topic like c.topic_like and c.retired_at is null;
        first_id := put.id;
        outcome := 'accepted';
        return;
      end if;
      select l.message_id, case when l.body_hash = of_body then 'duplicate' else 'conflict' end
      into first_id, outcome
      from nevertwice.ledger l
      where l.key_hash = of_key;
      -- The same offer again, after a COMMIT whose answer was lost.
      if first_id = id then
        outcome := 'accepted';
        return;
      end if;
      if found then
        insert into nevertwice.duplicate (message_id, received_at, copies, conflict, headers, body)
        values (
          first_id, nevertwice.clock(), 1, outcome = 'conflict', '{}', case when outcome = 'conflict' then payload end
        );
        return;
      end if;
      -- Its rival rolled back, or was pruned in between.
    end loop;
    raise 'a key was neither inserted nor found five times' using errcode = '40001';
  end
  $$;

-- As before, through `put`.
create or replace function nevertwice.send_bytes(
  topic text,
  payload bytea,
  key text default null,
  delay_ms float8 default 0,
  tenant text default '',
  out id uuid,
  out outcome text
)
  language plpgsql volatile
  as $$
  begin
    if delay_ms is null or delay_ms not between 0 and 3650 * 86400000.0 then
      raise 'NT_OPTION: expected delay_ms from 0 to ten years' using errcode = '22023';
    end if;
    select p.first_id, p.outcome into send_bytes.id, send_bytes.outcome
    from nevertwice.put(
      nevertwice.message_id(), 'own', topic, payload, key, nevertwice.clock() + delay_ms * interval '1 millisecond', 0::smallint,
      null, tenant
    ) p;
  end
  $$;

-- Puts a job whose key is unique while another one waits (`held` = waiting), waits or runs (outstanding), or for a window of
-- `window_ms`. When it is not, the one there is left as it is (ignore), cancelled in favour of this one (replace), or gets
-- this one's time (reschedule): only while it has not begun to run; one that runs is left as it is. `outcome` says which.
create function nevertwice.put_unique(
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
          where d.id = holder.delivery_id and (held = 'outstanding' or d.state <> 'leased')
        )
      end;
      if there and on_conflict = 'replace' then
        -- The claim that is under way is waited for: then it runs, and is left alone.
        with gone as (
          delete from nevertwice.delivery d
          where d.id = holder.delivery_id and d.state <> 'leased'
          returning d.message_id, d.id, d.consumer_id, d.attempts
        )
        insert into nevertwice.attempt (message_id, delivery_id, consumer_id, attempt, outcome, ended_at, error)
        select g.message_id, g.id, g.consumer_id, g.attempts, 'cancelled', nevertwice.clock(), 'replaced by ' || put_unique.id
        from gone g;
        outcome := case when found then 'replaced' else 'ignored' end;
      elsif there and on_conflict = 'reschedule' then
        update nevertwice.delivery d
        set due_at = put_unique.due_at, expires_at = put_unique.expires_at
        where d.id = holder.delivery_id and d.state <> 'leased';
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

-- Many at once, for drivers that know text alone: an array of {id, source, topic, body (base64), key, delayMs, runAtMs, priority,
-- expireAfterMs, tenant, unique: {key, while, windowMs, onConflict}}; `n` is the place in it. Keys go in by their hash, because two
-- batches in any other order deadlock.
create function nevertwice.put_all(messages json)
  returns table (n int, id uuid, outcome text)
  language plpgsql volatile
  as $$
  declare
    one record;
  begin
    for one in
      select
        m.ordinality::int as n, p.id, p.source, p.topic, decode(p.body, 'base64') as payload, p.key, d.due_at,
        coalesce(p.priority, 0::smallint) as priority, d.due_at + p."expireAfterMs" * interval '1 millisecond' as expires_at,
        p.tenant, u.key as unique_key, u."while" as held, u."windowMs" as window_ms, u."onConflict" as on_conflict
      from json_array_elements(messages) with ordinality m
      cross join lateral json_to_record(m.value) as p (
        id uuid, source text, topic text, body text, key text, "delayMs" float8, "runAtMs" float8, priority smallint,
        "expireAfterMs" float8, tenant text, "unique" json
      )
      cross join lateral (
        select coalesce(
          to_timestamp(p."runAtMs" / 1000), nevertwice.clock() + coalesce(p."delayMs", 0) * interval '1 millisecond'
        ) as due_at
      ) d
      left join lateral json_to_record(p."unique") as u (key text, "while" text, "windowMs" float8, "onConflict" text) on true
      order by nevertwice.key_hash(p.tenant, nevertwice.key_scope(p.source, p.topic), coalesce(u.key, p.key)), m.ordinality
    loop
      n := one.n;
      if one.unique_key is null then
        select p.first_id, p.outcome into put_all.id, put_all.outcome
        from nevertwice.put(
          one.id, one.source, one.topic, one.payload, one.key, one.due_at, one.priority, one.expires_at, one.tenant
        ) p;
      else
        select p.first_id, p.outcome into put_all.id, put_all.outcome
        from nevertwice.put_unique(
          one.id, one.topic, one.payload, one.unique_key, one.due_at, one.priority, one.expires_at, one.tenant, one.held,
          one.window_ms, one.on_conflict
        ) p;
      end if;
      return next;
    end loop;
  end
  $$;

-- Enqueues a job from SQL: from a trigger, or in another language.
create function nevertwice.enqueue(
  job text,
  input json,
  key text default null,
  run_at timestamptz default null,
  priority int default 0,
  expire_after_ms float8 default null,
  tenant text default '',
  out id uuid,
  out outcome text
)
  language plpgsql volatile
  as $$
  begin
    if not exists (select from nevertwice.consumer c where c.source = 'job' and c.topic = job and c.retired_at is null) then
      raise 'NT_OPTION: expected the name of a job that is declared, got %', quote_nullable(left(job, 60)) using errcode = '22023';
    end if;
    if priority is null or priority not between -2 and 2 then
      raise 'NT_OPTION: expected priority from -2 to 2, got %', priority using errcode = '22023';
    end if;
    run_at := coalesce(run_at, nevertwice.clock());
    select p.first_id, p.outcome into enqueue.id, enqueue.outcome
    from nevertwice.put(
      nevertwice.message_id(), 'job', job, convert_to(input::text, 'UTF8'), key, run_at, priority::smallint,
      run_at + expire_after_ms * interval '1 millisecond', tenant
    ) p;
  end
  $$;
