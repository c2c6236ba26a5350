import type pg from "pg";
import { lowestId } from "../../src/core/id.ts";

const WEEK_MS = 7 * 86_400_000;
/** Weeks of history before this one; the tables of this week and the one before are there already. */
const WEEKS_BEFORE = 4;

export const filled = { messages: 100_000, outstanding: 20_000, overdue: 500, dead: 200, duplicates: 5_000 } as const;

/**
 * Fills the tables with five weeks of a shop. All is completed but what came last, half of it c1's, due tomorrow but for a few
 * that are late, and but for a few that died long ago.
 */
export async function fill(pool: pg.Pool): Promise<void> {
  const nowMs = Date.now();
  const fromMs = Math.floor(nowMs / WEEK_MS) * WEEK_MS - WEEKS_BEFORE * WEEK_MS;
  for (let week = fromMs; week < fromMs + (WEEKS_BEFORE - 1) * WEEK_MS; week += WEEK_MS) {
    const label = new Date(week).toISOString().slice(0, 10).replaceAll("-", "");
    for (const table of ["message", "attempt", "step", "duplicate"]) {
      await pool.query(
        `create table nevertwice.${table}_${label} partition of nevertwice.${table}
         for values from ('${lowestId(week)}') to ('${lowestId(week + WEEK_MS)}')`,
      );
    }
  }
  const { messages, outstanding, overdue, dead, duplicates } = filled;
  await pool.query(
    `insert into nevertwice.consumer (name, source, topic, topic_like, registered_at)
     select 'c' || i, 'shop', '*', '%', to_timestamp(${fromMs / 1_000})
     from generate_series(1, 10) i`,
  );
  // A UUIDv7: the time in milliseconds, and what is random in it from a hash.
  await pool.query(
    `insert into nevertwice.message (id, tenant, source, key, topic, received_at, headers, body)
     select
       (lpad(to_hex(s.ms), 12, '0') || '7' || left(md5(s.i::text), 3) || '8' || left(md5(s.i::text), 15))::uuid,
       '', 'shop', 'key-' || s.i, 'topic-' || s.i % 20, to_timestamp(s.ms / 1000.0), '{}', decode(repeat(md5(s.i::text), 8), 'hex')
     from (
       select i, ${fromMs} + i::bigint * ${nowMs - fromMs} / ${messages} as ms
       from generate_series(1, ${messages}) i
     ) s`,
  );
  await pool.query(
    `with numbered as materialized (
       select id, received_at, (row_number() over (order by id))::int as i from nevertwice.message
     ),
     owed as (
       insert into nevertwice.delivery (id, message_id, consumer_id, due_at)
       select nevertwice.replay_delivery_id(id), id, case when i % 2 = 0 then 1 else 2 + i % 9 end,
         now() + case when i <= ${messages - outstanding + overdue} then interval '-1 hour' else interval '1 day' end
       from numbered where i > ${messages - outstanding}
     ),
     settled as (
       insert into nevertwice.attempt (message_id, delivery_id, consumer_id, attempt, outcome, ended_at, worker)
       select id, nevertwice.replay_delivery_id(id), 1 + i % 10, 2, case when i <= ${dead} then 'dead' else 'completed' end,
         received_at, 'w'
       from numbered where i <= ${messages - outstanding}
       returning message_id, delivery_id, consumer_id, outcome, ended_at
     ),
     failed as (
       insert into nevertwice.attempt (message_id, delivery_id, consumer_id, attempt, outcome, ended_at, worker, error)
       select message_id, delivery_id, consumer_id, 1, 'retry', ended_at, 'w', 'once' from settled
     ),
     buried as (
       insert into nevertwice.dead_letter (delivery_id, message_id, consumer_id, attempts, died_at, error)
       select delivery_id, message_id, consumer_id, 2, ended_at, 'it cannot be' from settled where outcome = 'dead'
     ),
     stepped as (
       insert into nevertwice.step (message_id, consumer_id, name, idempotency_key, claim, tries, started_at)
       select id, 1 + i % 10, 'pay', 'idempotent', 1, 1, received_at from numbered where i % 5 = 0
     )
     insert into nevertwice.duplicate (message_id, received_at, copies, conflict)
     select id, received_at, 1, false from numbered where i % ${messages / duplicates} = 0`,
  );
  await pool.query(
    `insert into nevertwice.replay (delivery_id, message_id, consumer_id, replay_of, replayed_at, reason)
     select gen_random_uuid(), message_id, consumer_id, delivery_id, ended_at, 'by hand'
     from nevertwice.attempt where outcome = 'completed' limit 5000`,
  );
  await pool.query(
    `insert into nevertwice.refusal (source, reason, counted_at, refused)
     select 'shop', 'bad-signature', now() - i * interval '10 minutes', 1 from generate_series(1, 6000) i`,
  );
  await pool.query("vacuum (analyze)");
}
