/**
 * Migrations, and what a process does on a schema that is not of its version.
 *
 * During a deploy old and new code run side by side: the new one migrates while the old one works on, and an old process may start
 * after that (a crash, a machine that was slow, a roll back). So a migration leaves the schema in a state on which the version
 * before it works: it adds; what it takes away, the version before has stopped to use. A process that finds migrations it does not
 * know works on, and says so.
 *
 * One that cannot keep to that says since which version processes can work on what it leaves, in its name: `0031_one_clock_from_0029`
 * is refused by processes that know less than 0029, with NT_SCHEMA_NEWER. The name is in the database, so that processes can ask
 * that were built before the file was there. It keeps them from starting; those that run then have to be stopped by hand, before.
 */
import { fault } from "../core/errors.ts";
import { sqlState } from "../core/sql-state.ts";
import type { Connections } from "./connections.ts";
import { migrationFiles } from "./migration-files.ts";

export interface Migration {
  readonly number: number;
  readonly name: string;
  readonly text: string;
}

/** The migrations in their order, with the schema's quoted name in place of ours. */
export async function migrations(schema: string): Promise<readonly Migration[]> {
  const quoted = `"${schema.replaceAll('"', '""')}"`;
  return (await migrationFiles()).map(([file, text]) => {
    const placed = text
      .replace(/(?<!['\w])nevertwice\./g, () => `${quoted}.`)
      .replace("create schema if not exists nevertwice;", () => `create schema if not exists ${quoted};`);
    return { number: Number(file.slice(0, 4)), name: file.slice(5, -4), text: placed };
  });
}

const LOCK = `-- migrate: one at a time
select pg_advisory_xact_lock(hashtext('nevertwice'), hashtext($1))`;

const PRESENT = `-- migrate: whether the table of migrations is there. $1 schema
select exists (
  select from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname = $1 and c.relname = 'migration'
) as present`;

const NUMBER = `-- migrate: the newest one applied
select coalesce(max(number), 0) as number from nevertwice.migration`;

const NEWER = `-- migrate: those that this version does not know. $1 the newest that it knows
select number, name
from nevertwice.migration
where number > $1
order by number`;

/** Since which version, by its newest migration, processes can work on what a migration leaves. Without it: all that came before. */
const SINCE = /_from_(\d{4})$/;

const WAIT = `-- migrate: how long to wait for a table. $1 ms
select set_config('lock_timeout', $1, true)`;

/** An accept waits for a fifth of it and is then answered 503; its sender comes again. */
const WAIT_MS = 1_000;
/** Others get through what has piled up. */
const BETWEEN_MS = 500;
/** Three minutes: no handler's transaction is open for longer, by default. */
const MOST_TRIES = 120;

const APPLIED = `-- migrate: applied
insert into nevertwice.migration (number, name) values ($1, $2)`;

/**
 * Applies those that are missing, in one transaction under a lock, so that ten processes that start at once do it once. `newer`:
 * there are others besides, on which this version works. Throws NT_SCHEMA_MISSING where something is missing and may not be applied,
 * NT_SCHEMA_NEWER where this version cannot work on what is there.
 */
export async function migrate(
  connections: Connections,
  schema: string,
  mode: "auto" | "check",
  known: readonly Migration[],
): Promise<"applied" | "present" | "newer"> {
  const newest = known.at(-1)?.number ?? 0;
  for (let tries = 1; ; tries++) {
    const present = await applied(connections, schema);
    if (present > newest) {
      const { rows } = await connections.run<{ number: number; name: string }>(NEWER, [newest]);
      const refusing = rows.find(({ name }) => Number(SINCE.exec(name)?.[1] ?? 0) > newest);
      if (refusing === undefined) return "newer";
      const got = `schema "${schema}" with ${refusing.number} ${refusing.name}, while this version knows ${newest}`;
      throw fault("NT_SCHEMA_NEWER", { got });
    }
    if (present === newest) return "present";
    if (mode === "check") {
      throw fault("NT_SCHEMA_MISSING", { got: `schema "${schema}" at ${present} of ${newest}` });
    }
    try {
      if (await apply(connections, schema, known)) return "applied";
    } catch (error) {
      // Somebody holds what it needs, or stands in a circle with it.
      if (tries >= MOST_TRIES || !["55P03", "40P01"].includes(sqlState(error) ?? "")) throw error;
      await new Promise((resolve) => setTimeout(resolve, BETWEEN_MS));
    }
  }
}

/**
 * Whether anything was missing. What waits for a table's strongest lock holds up everybody who comes after it, for as long as the
 * longest transaction that was there before: so it does not wait for long, lets the others through, and tries again.
 */
async function apply(connections: Connections, schema: string, known: readonly Migration[]): Promise<boolean> {
  const client = await connections.connect();
  let failed = true;
  try {
    await client.query("begin isolation level read committed");
    await client.query({ text: LOCK, values: [schema] });
    const exists = await client.query({ text: PRESENT, values: [schema] });
    let at = 0;
    if ((exists.rows[0] as { present: boolean }).present) {
      const { rows } = await client.query({ text: connections.placed(NUMBER) });
      at = (rows[0] as { number: number }).number;
    }
    const missing = known.filter(({ number }) => number > at);
    await client.query({ text: WAIT, values: [String(WAIT_MS)] });
    for (const { number, name, text } of missing) {
      await client.query(text);
      await client.query({ text: connections.placed(APPLIED), values: [number, name] });
    }
    await client.query("commit");
    failed = false;
    return missing.length > 0;
  } finally {
    connections.release(client, failed);
  }
}

async function applied(connections: Connections, schema: string): Promise<number> {
  const { rows } = await connections.run<{ present: boolean }>(PRESENT, [schema]);
  if (rows[0]?.present !== true) return 0;
  const newest = await connections.run<{ number: number }>(NUMBER);
  return newest.rows[0]?.number ?? 0;
}
