-- 0002 send: the outbox, for whatever can run SQL. A message is sent in the transaction that calls, and leaves only if that
-- commits; a rollback sends nothing.
--
--   select nevertwice.send('receipt.created', '{"receipt": 7}', key => 'receipt-7');
--
-- It does for one message what the statement `accept` (store/accept.ts) does for a batch: ledger, message, deliveries. A row
-- that commits late is never skipped, because nobody reads on from where somebody else stood.

-- The hash under which the ledger remembers a key: the first half of sha-256 over the parts, each with its length before it,
-- so that ("ab", "c") and ("a", "bc") never meet. The same as `digest` in runtime/arrival.ts.
create function nevertwice.key_hash(tenant text, source text, key text) returns uuid
  language sql immutable parallel safe
  as $$
    select left(encode(sha256(convert_to(string_agg(octet_length(convert_to(p.part, 'UTF8')) || ':' || p.part, '' order by p.n), 'UTF8')), 'hex'), 32)::uuid
    from unnest(array['key', tenant, source, key]) with ordinality as p (part, n)
  $$;

-- A UUIDv7 (RFC 9562): 48 bits of time in milliseconds, version, variant, and what gen_random_uuid drew.
create function nevertwice.message_id() returns uuid
  language sql volatile parallel safe
  as $$
    select encode(set_byte(i.bytes, 6, get_byte(i.bytes, 6) & 15 | 112), 'hex')::uuid
    from (
      select overlay(
        uuid_send(gen_random_uuid())
        placing substring(int8send(floor(extract(epoch from nevertwice.clock()) * 1000)::bigint) from 3)
        from 1
      ) as bytes
    ) i
  $$;

-- Sends bytes to a topic of our own. `outcome` is accepted, duplicate (the key is known with the same body) or conflict (with
-- another body, which is kept); `id` is then the first message's.
create function nevertwice.send_bytes(
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
  declare
    of_key uuid;
    of_body uuid := left(encode(sha256(payload), 'hex'), 32)::uuid;
    first_id uuid;
  begin
    if topic is null or topic !~ '^[\x21-\x7e]{1,200}$' then
      raise 'NT_OPTION: expected a topic of 1 to 200 printable characters without spaces, got %', quote_nullable(left(topic, 60))
        using errcode = '22023';
    end if;
    if length(key) not between 1 and 512 then
      raise 'NT_OPTION: expected a key of 1 to 512 characters, got %', quote_nullable(left(key, 60)) using errcode = '22023';
    end if;
    if payload is null or delay_ms is null or tenant is null or delay_ms not between 0 and 3650 * 86400000.0 then
      raise 'NT_OPTION: expected a payload, a tenant, and delay_ms from 0 to ten years' using errcode = '22023';
    end if;
    if current_setting('synchronous_commit') in ('off', 'local', 'remote_write') then
      perform set_config('synchronous_commit', 'on', true);
    end if;
    id := nevertwice.message_id();
    key := coalesce(key, id::text);
    of_key := nevertwice.key_hash(tenant, 'own', key);
    for tries in 1..5 loop
      insert into nevertwice.ledger as l (key_hash, body_hash, message_id)
      values (of_key, of_body, send_bytes.id)
      on conflict do nothing;
      if found then
        insert into nevertwice.message (id, tenant, source, key, topic, received_at, headers, body)
        values (
          send_bytes.id, send_bytes.tenant, 'own', send_bytes.key, send_bytes.topic, nevertwice.clock(), '{}', send_bytes.payload
        );
        insert into nevertwice.delivery (id, message_id, consumer_id, due_at)
        select
          nevertwice.original_delivery_id(send_bytes.id, c.id), send_bytes.id, c.id,
          nevertwice.clock() + send_bytes.delay_ms * interval '1 millisecond'
        from nevertwice.consumer c
        where c.source = 'own' and send_bytes.topic like c.topic_like and c.retired_at is null;
        outcome := 'accepted';
        return;
      end if;
      select l.message_id, case when l.body_hash = of_body then 'duplicate' else 'conflict' end
      into first_id, outcome
      from nevertwice.ledger l
      where l.key_hash = of_key;
      if found then
        id := first_id;
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

-- As `send_bytes`, of JSON as it is written.
create function nevertwice.send(
  topic text,
  payload json,
  key text default null,
  delay_ms float8 default 0,
  tenant text default '',
  out id uuid,
  out outcome text
)
  language sql volatile
  as $$
    select s.id, s.outcome
    from nevertwice.send_bytes(topic, convert_to(payload::text, 'UTF8'), key, delay_ms, tenant) s
  $$;

-- Many at once, for drivers that know text alone: an array of {topic, body (base64), key, delayMs, tenant}; `n` is the place
-- in it. Keys go in by their hash, because two batches in any other order deadlock.
create function nevertwice.send_all(messages json)
  returns table (n int, id uuid, outcome text)
  language plpgsql volatile
  as $$
  declare
    one record;
  begin
    for one in
      select m.ordinality::int as n, m.value as message
      from json_array_elements(messages) with ordinality m
      order by nevertwice.key_hash(m.value ->> 'tenant', 'own', m.value ->> 'key'), m.ordinality
    loop
      n := one.n;
      select s.id, s.outcome into send_all.id, send_all.outcome
      from nevertwice.send_bytes(
        one.message ->> 'topic', decode(one.message ->> 'body', 'base64'), one.message ->> 'key',
        (one.message ->> 'delayMs')::float8, one.message ->> 'tenant'
      ) s;
      return next;
    end loop;
  end
  $$;
