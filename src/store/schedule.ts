/**
 * Schedules: which are declared, which are due, and the one transaction in which a slot becomes a message.
 *
 * The row's lock and its `turn` decide. Ten processes find the same schedule due; one locks the row, the others skip it, or
 * find another turn when they come later, also after they were frozen for an hour in between. The lock is taken before the
 * messages are written and goes with the COMMIT, so that a process which is killed leaves either both or nothing. Where the
 * row itself went back in time (a restore, a clock that was set back), the ledger refuses the keys that it knows.
 *
 * All time is the database's. What was read more than a minute ago is not decided any more: a slot that was in time then may
 * be a missed one by now.
 */
import { defaults } from "../core/defaults.ts";
import { fault } from "../core/errors.ts";
import { SET_BACK_MS } from "../core/schedule.ts";
import type {
  DueSchedule,
  ListedSchedule,
  Looked,
  ScheduleDeclaration,
  ScheduleStore,
  Turn,
} from "../core/ports/schedules.ts";
import type { Arrival, Put } from "../core/ports/store.ts";
import type { Connections } from "./connections.ts";
import type { Reader } from "./read/reader.ts";
import { listSchedules, named, originOf, pauseSchedule, removeSchedule } from "./read/schedules.ts";
import { begin } from "./transaction.ts";

// declare schedule: a replaced definition comes back when nobody has declared the present one for three minutes: processes
// declare theirs every one and a half minutes at most. No row: an old process asks, or the name is taken in another place.
// $1 name, $2 origin, $3 topic, $4 cron, $5 zone, $6 missed, $7 jitter in ms, $8 input, $9 definition.
const DECLARE = `-- declare schedule
with setting as materialized (
  select
    case
      when current_setting('synchronous_commit') in ('off', 'local', 'remote_write')
      then set_config('synchronous_commit', 'on', true)
    end,
    nevertwice.clock() as now
)
insert into nevertwice.schedule as s (
  name, origin, topic, cron, zone, missed, jitter_ms, input, definition, decided_to, next_at, declared_at
)
select $1, $2, $3, $4, $5, $6, $7, $8::json, $9, now, now, now
from setting
on conflict (name) do update
set
  origin = excluded.origin,
  topic = excluded.topic,
  cron = excluded.cron,
  zone = excluded.zone,
  missed = excluded.missed,
  jitter_ms = excluded.jitter_ms,
  input = excluded.input,
  definition = excluded.definition,
  replaced = case
    when s.definition = excluded.definition then s.replaced
    else (array_prepend(s.definition, array_remove(s.replaced, excluded.definition)))[:20]
  end,
  turn = s.turn + (s.definition <> excluded.definition)::int,
  decided_to = case
    when s.cron = excluded.cron and s.zone = excluded.zone then s.decided_to
    else excluded.decided_to
  end,
  next_at = case when s.definition = excluded.definition then s.next_at else excluded.next_at end,
  declared_at = excluded.declared_at
where (s.origin = 'code') = (excluded.origin = 'code')
  and (
    s.origin <> 'code'
    or s.definition = excluded.definition
    or excluded.definition <> all (s.replaced)
    or s.declared_at not between excluded.declared_at - interval '3 minutes' and excluded.declared_at + interval '3 minutes'
  )
returning s.name`;

const DECLARED = `-- declared: whether there is a job. $1 name
select c.id
from nevertwice.consumer c
where c.source = 'job' and c.topic = $1 and c.retired_at is null`;

// look: what is due, and how long until the next. A row that is decided further ahead than a minute: the clock was set back.
// $1 names in code, $2 their definitions, $3 names to leave alone, $4 whether all are looked at, $5 ms of a clock set back, $6 limit,
// $7 jobs that are declared here.
const LOOK = `-- look
with now as materialized (
  select nevertwice.clock() as now
),
mine as (
  select
    s.*,
    $4::boolean or s.next_at <= n.now or s.decided_to > n.now + $5::float8 * interval '1 millisecond' as due
  from nevertwice.schedule s
  cross join now n
  where s.paused_at is null
    and s.name <> all ($3::text[])
    and (
      s.origin = 'api'
      or s.origin = 'job' and s.topic = any ($7::text[])
      or exists (
        select
        from unnest($1::text[], $2::text[]) as d (name, definition)
        where d.name = s.name and d.definition = s.definition
      )
    )
)
select
  (extract(epoch from n.now) * 1000)::float8 as now_ms,
  (
    select (extract(epoch from min(m.next_at) - n.now) * 1000)::float8
    from mine m
    where not m.due
  ) as wait_ms,
  (
    select json_agg(d)
    from (
      select
        m.name, m.origin, m.topic, m.cron, m.zone, m.missed, m.jitter_ms, m.input::text, m.turn,
        (extract(epoch from m.decided_to) * 1000)::float8 as decided_ms,
        (extract(epoch from m.next_at) * 1000)::float8 as next_ms
      from mine m
      where m.due
      order by m.next_at
      limit $6
    ) d
  ) as due
from now n`;

// decide: moves a schedule on. No row: somebody else did, or does. The messages follow in the same transaction, which has said
// already that it is to be durable.
// $1 name, $2 turn, $3 when it was read, $4 decided up to, $5 next, $6 last slot; all times in ms, null for no change or none.
const DECIDE = `-- decide
with taken as materialized (
  select s.name
  from nevertwice.schedule s
  where s.name = $1
    and s.turn = $2::bigint
    and s.paused_at is null
    and (select nevertwice.clock()) < to_timestamp($3::float8 / 1000) + interval '1 minute'
  for update of s skip locked
)
update nevertwice.schedule s
set
  turn = s.turn + 1,
  decided_to = coalesce(to_timestamp($4::float8 / 1000), s.decided_to),
  next_at = to_timestamp($5::float8 / 1000),
  last_slot = coalesce(to_timestamp($6::float8 / 1000), s.last_slot)
from taken t
where s.name = t.name
returning s.name`;

/** Of one look. Whoever has more looks again at once. */
const MOST_DUE = 100;
/** Messages of one statement. */
const BATCH = 250;
const LIMITS = { idleMs: 10_000, lockMs: defaults.lockTimeoutMs, statementMs: defaults.statementDeadlineMs };

export class PostgresSchedules implements ScheduleStore {
  readonly #connections: Connections;
  readonly #reader: Reader;

  constructor(connections: Connections) {
    this.#connections = connections;
    this.#reader = { query: (text, values) => connections.run(text, values) };
  }

  async declare(given: ScheduleDeclaration): Promise<"declared" | "outdated"> {
    const { name, origin, topic, cron, zone, missed, jitterMs, input = null, definition } = given;
    if (origin === "job" && (await this.#connections.run(DECLARED, [topic])).rows.length === 0) {
      throw fault("NT_NOT_FOUND", {
        expected: "the name of a job that was declared",
        got: `\`${topic}\``,
        next: "Start a process that declares it first.",
      });
    }
    const values = [name, origin, topic, cron, zone, missed, jitterMs, input, definition];
    if ((await this.#connections.run(DECLARE, values)).rows.length > 0) return "declared";
    const there = await originOf(this.#reader, name);
    if (there !== undefined && (there === "code") !== (origin === "code"))
      throw fault("NT_SCHEDULE_ORIGIN", { got: named(name, there) });
    return "outdated";
  }

  async look(options: Parameters<ScheduleStore["look"]>[0]): Promise<Looked> {
    const { own, jobs = [], except, all } = options;
    const { rows } = await this.#connections.run<{ now_ms: number; wait_ms: number | null; due: DueRow[] | null }>(
      LOOK,
      [own.map((one) => one.name), own.map((one) => one.definition), except, all, SET_BACK_MS, MOST_DUE, jobs],
    );
    const [row] = rows;
    if (row === undefined) throw fault("NT_DATABASE_AWAY", { got: "no answer" });
    return {
      // A slot stands at a whole second: what is cut off here cannot be one.
      nowMs: Math.floor(row.now_ms),
      waitMs: row.wait_ms ?? undefined,
      more: row.due?.length === MOST_DUE,
      due: (row.due ?? []).map(({ decided_ms, next_ms, jitter_ms, input, ...rest }): DueSchedule => ({
        ...rest,
        input: input ?? undefined,
        jitterMs: jitter_ms,
        decidedMs: Math.floor(decided_ms),
        nextMs: Math.floor(next_ms ?? Infinity),
      })),
    };
  }

  async decide(turn: Turn, arrivals: readonly Arrival[]): Promise<readonly Put[] | undefined> {
    const tx = await begin(this.#connections, LIMITS, "scheduler");
    try {
      const { name, readMs, decidedMs = null, nextMs = null, lastMs = null } = turn;
      const values = [name, turn.turn, readMs, decidedMs, nextMs, lastMs];
      const { rows } = await tx.query(this.#connections.placed(DECIDE), values);
      if (rows.length === 0) return undefined;
      const accepted: Put[] = [];
      for (let i = 0; i < arrivals.length; i += BATCH) accepted.push(...(await tx.send(arrivals.slice(i, i + BATCH))));
      const ended = await tx.commit();
      if (ended === "rolled-back") throw tx.rollbackCause ?? fault("NT_TX_ABORTED", { got: "the tag ROLLBACK" });
      return ended === "committed" ? accepted : undefined;
    } finally {
      await tx.rollback();
    }
  }

  pause(name: string, paused: boolean): Promise<void> {
    return pauseSchedule(this.#reader, name, paused);
  }

  remove(name: string): Promise<void> {
    return removeSchedule(this.#reader, name);
  }

  list(): Promise<readonly ListedSchedule[]> {
    return listSchedules(this.#reader);
  }
}

type DueRow = Omit<DueSchedule, "jitterMs" | "decidedMs" | "nextMs" | "input"> & {
  readonly jitter_ms: number;
  readonly decided_ms: number;
  readonly next_ms: number | null;
  readonly input: string | null;
};
