/**
 * Housekeeping, one small piece at a time, by any worker.
 *
 * History is partitioned by the week in the message's id: five tables, one boundary, dropped together. A partition
 * stays while a message in it has an outstanding or a dead delivery. The ledger is not partitioned (the same key would
 * go in on both sides of a boundary); its old rows are deleted a few blocks at a time, and random keys refill the space.
 */
import { lowestId } from "../core/id.ts";
import { sqlState } from "../core/sql-state.ts";
import type { Connections } from "./connections.ts";

const WEEK_MS = 7 * 86_400_000;
const TABLES = ["message", "attempt", "step", "duplicate", "note"] as const;
/** So many rows of a week are moved from a default partition at most. */
const MOST_STRAYS = 10_000;
/** Blocks of the ledger a call: at one call a minute ten million keys are walked in about three hours. */
const BLOCKS = 500;

const LOCK = `-- tidy: one at a time; whoever comes second leaves it
select pg_try_advisory_xact_lock(hashtext('nevertwice tidy'), hashtext($1)) as mine`;

const NOW = `-- tidy: the database's time
select extract(epoch from nevertwice.clock()) * 1000 as ms`;

const PARTITIONS = `-- tidy: the weeks there are, and which tables have them. $1 schema
select right(c.relname, 8) as week, array_agg(left(c.relname, -9)::text) as tables
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relkind = 'r' and c.relname ~ '^(message|attempt|step|duplicate|note)_[0-9]{8}$'
group by week`;

// strays: history of a week that came before its partitions did: from a process whose clock was ahead, or while no worker ran.
// Of more than ten thousand the week stays in the default partitions: to move them all would hold everybody up.
// $1 from, $2 to.
const STRAYS = `-- tidy: rows of a week in the default partitions, up to ten thousand and one
select s.name, s.strays
from (
  select 'message' as name, count(*)::int as strays
  from (select from nevertwice.message_other where id >= $1::uuid and id < $2::uuid limit 10001) o
  union all
  select 'attempt', count(*)::int
  from (select from nevertwice.attempt_other where message_id >= $1::uuid and message_id < $2::uuid limit 10001) o
  union all
  select 'step', count(*)::int
  from (select from nevertwice.step_other where message_id >= $1::uuid and message_id < $2::uuid limit 10001) o
  union all
  select 'duplicate', count(*)::int
  from (select from nevertwice.duplicate_other where message_id >= $1::uuid and message_id < $2::uuid limit 10001) o
  union all
  select 'note', count(*)::int
  from (select from nevertwice.note_other where message_id >= $1::uuid and message_id < $2::uuid limit 10001) o
) s
where s.strays > 0`;

const OWED = `-- tidy: whether something in a range of message ids is outstanding or dead. $1 from, $2 to
select
  exists (select from nevertwice.delivery where id >= $1::uuid and id < $2::uuid)
  or exists (select from nevertwice.dead_letter where message_id >= $1::uuid and message_id < $2::uuid) as owed`;

const PRUNE = `-- prune: deletes old keys in a range of blocks. $1 from block, $2 to block, $3 lowest id to keep
delete from nevertwice.ledger l
where l.ctid >= format('(%s,0)', $1::bigint)::tid
  and l.ctid < format('(%s,0)', $2::bigint)::tid
  and l.message_id < $3::uuid
  and not exists (
    select
    from nevertwice.delivery d
    where d.id between nevertwice.first_delivery(l.message_id) and nevertwice.last_delivery(l.message_id)
      and d.message_id = l.message_id
  )
  and not exists (select from nevertwice.dead_letter d where d.message_id = l.message_id)`;

const BLOCK_COUNT = `-- prune: how many blocks the ledger has. $1 schema
select pg_relation_size(format('%I.ledger', $1::text)::regclass) / current_setting('block_size')::bigint as blocks`;

// unique: keys whose holder is gone. A job that is put meanwhile waits for the row, and puts its own.
const UNIQUE = `-- tidy: keys of unique jobs that nobody holds any more
delete from nevertwice.unique_job u
where u.key_hash = any (array(
  select v.key_hash
  from nevertwice.unique_job v
  where coalesce(v.held_until < nevertwice.clock(), true)
    and not exists (select from nevertwice.delivery d where d.id = v.delivery_id)
  order by v.key_hash
  limit 1000
  for update skip locked
))`;

const REFUSALS = `-- tidy: refusals past retention. $1 days
delete from nevertwice.refusal where counted_at < nevertwice.clock() - $1::float8 * interval '1 day'`;

export class Tidy {
  readonly #connections: Connections;
  readonly #schema: string;
  #block = 0;

  constructor(connections: Connections, schema: string) {
    this.#connections = connections;
    this.#schema = schema;
  }

  async run(options: { dedupeDays: number; retainDays: number }): Promise<void> {
    const { rows } = await this.#connections.run<{ ms: string }>(NOW);
    const nowMs = Number(rows[0]?.ms);
    await this.makePartitions(nowMs);
    await this.#dropPartitions(nowMs - options.retainDays * 86_400_000);
    await this.#prune(nowMs - options.dedupeDays * 86_400_000);
    await this.#connections.run(UNIQUE);
    await this.#connections.run(REFUSALS, [options.retainDays]);
  }

  /** This week's and the next three, the week before too: an accepting process's clock may be behind. */
  async makePartitions(nowMs: number): Promise<void> {
    const present = await this.#weeks();
    const first = Math.floor(nowMs / WEEK_MS) * WEEK_MS;
    for (let week = first - WEEK_MS; week <= first + 3 * WEEK_MS; week += WEEK_MS) {
      const missing = TABLES.filter((table) => present.get(label(week))?.includes(table) !== true);
      if (missing.length === 0) continue;
      const range = { from: lowestId(week), to: lowestId(week + WEEK_MS) };
      const { rows } = await this.#connections.run<{ name: string; strays: number }>(STRAYS, [range.from, range.to]);
      if (rows.some(({ strays }) => strays > MOST_STRAYS)) continue;
      const strays = new Set(rows.map(({ name }) => name));
      // Each in a transaction of its own: who holds one table and waits for the next stands in a circle with whoever reads both.
      for (const table of missing) {
        try {
          await this.#locked(partition(table, label(week), range, strays.has(table)));
        } catch (error) {
          // 23514: rows of this week came after they were looked for, or were not committed then.
          if (sqlState(error) !== "23514") throw error;
          await this.#locked(partition(table, label(week), range, true));
        }
      }
    }
  }

  async #dropPartitions(beforeMs: number): Promise<void> {
    for (const [week, tables] of await this.#weeks()) {
      const from = Date.UTC(Number(week.slice(0, 4)), Number(week.slice(4, 6)) - 1, Number(week.slice(6)));
      const to = from + WEEK_MS;
      if (to > beforeMs) continue;
      // Locked first and asked then: a replay locks its message's row, so none can slip in between.
      await this.#locked(
        [`lock table ${tables.map((table) => `nevertwice.${table}_${week}`).join(", ")} in access exclusive mode`],
        { from: lowestId(from), to: lowestId(to) },
        [
          ...tables.map((table) => `drop table nevertwice.${table}_${week}`),
          `delete from nevertwice.replay where message_id >= '${lowestId(from)}' and message_id < '${lowestId(to)}'`,
        ],
      );
    }
  }

  async #prune(beforeMs: number): Promise<void> {
    const { rows } = await this.#connections.run<{ blocks: string }>(BLOCK_COUNT, [this.#schema]);
    if (this.#block >= Number(rows[0]?.blocks)) this.#block = 0;
    await this.#connections.run(PRUNE, [this.#block, this.#block + BLOCKS, lowestId(beforeMs)]);
    this.#block += BLOCKS;
  }

  async #weeks(): Promise<Map<string, readonly string[]>> {
    const { rows } = await this.#connections.run<{ week: string; tables: string[] }>(PARTITIONS, [this.#schema]);
    return new Map(rows.map((row) => [row.week, row.tables]));
  }

  /**
   * DDL that gives way: it waits for its locks for less than `deadlock_timeout` (1 s), after which PostgreSQL would end one of
   * those who wait in a circle, and that may be somebody else. What it could not lock is left to the next call.
   */
  async #locked(
    before: readonly string[],
    unlessOwed?: { from: string; to: string },
    after: readonly string[] = [],
  ): Promise<void> {
    const client = await this.#connections.connect();
    let failed = true;
    try {
      await client.query("begin isolation level read committed");
      await client.query("set local lock_timeout = 300");
      const { rows } = await client.query({ text: LOCK, values: [this.#schema] });
      if ((rows[0] as { mine: boolean }).mine) {
        for (const text of before) await client.query(this.#connections.placed(text));
        let owed = false;
        if (unlessOwed !== undefined) {
          const asked = await client.query({
            text: this.#connections.placed(OWED),
            values: [unlessOwed.from, unlessOwed.to],
          });
          owed = (asked.rows[0] as { owed: boolean }).owed;
        }
        if (!owed) for (const text of after) await client.query(this.#connections.placed(text));
      }
      await client.query("commit");
      failed = false;
    } finally {
      this.#connections.release(client, failed);
    }
  }
}

/** Makes one; what lies in the default partition is taken out first, and goes to where it belongs: nobody sees it missing. */
function partition(
  table: (typeof TABLES)[number],
  week: string,
  { from, to }: { readonly from: string; readonly to: string },
  strays: boolean,
): readonly string[] {
  const make =
    `create table if not exists nevertwice.${table}_${week} partition of nevertwice.${table} ` +
    `for values from ('${from}') to ('${to}')`;
  if (!strays) return [make];
  const id = table === "message" ? "id" : "message_id";
  return [
    // The parent first, as readers do.
    `lock table only nevertwice.${table} in access exclusive mode`,
    `create temporary table nt_moved_${table} (like nevertwice.${table}) on commit drop`,
    `with gone as (delete from nevertwice.${table}_other where ${id} >= '${from}' and ${id} < '${to}' returning *) ` +
      `insert into nt_moved_${table} select * from gone`,
    make,
    `insert into nevertwice.${table} select * from nt_moved_${table}`,
  ];
}

function label(weekMs: number): string {
  return new Date(weekMs).toISOString().slice(0, 10).replaceAll("-", "");
}
