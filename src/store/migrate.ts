import { fault } from "../core/errors.ts";
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

const APPLIED = `-- migrate: applied
insert into nevertwice.migration (number, name) values ($1, $2)`;

/**
 * Applies what is missing, in one transaction under a lock, so that ten processes that start at once do it once.
 * Throws NT_SCHEMA_MISSING where something is missing and may not be applied, NT_SCHEMA_NEWER where the database is ahead.
 */
export async function migrate(connections: Connections, schema: string, mode: "auto" | "check"): Promise<boolean> {
  const known = await migrations(schema);
  const newest = known.at(-1)?.number ?? 0;
  const present = await applied(connections, schema);
  if (present > newest) {
    throw fault("NT_SCHEMA_NEWER", { got: `schema "${schema}" at ${present}, while this version knows ${newest}` });
  }
  if (present === newest) return false;
  if (mode === "check") {
    throw fault("NT_SCHEMA_MISSING", { got: `schema "${schema}" at ${present} of ${newest}` });
  }
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
    for (const migration of known) {
      if (migration.number <= at) continue;
      await client.query(migration.text);
      await client.query({ text: connections.placed(APPLIED), values: [migration.number, migration.name] });
    }
    await client.query("commit");
    failed = false;
    return true;
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
