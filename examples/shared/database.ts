// A PostgreSQL for one example: a database of its own on the server of DATABASE_URL, or on an embedded one in a temporary folder.
// `await using` takes all of it away again, also where the example fails.
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { startEmbedded } from "nevertwice/embedded";
import pg from "pg";

export interface ExampleDatabase extends AsyncDisposable {
  readonly url: string;
  /** The example's own connections, beside Nevertwice's. */
  readonly pool: pg.Pool;
  rows<Row = Record<string, any>>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** Resolves once no delivery is outstanding in the tables of a schema. What must not take effect twice is counted after that. */
  settled(schema?: string): Promise<void>;
}

const PATIENCE_MS = 60_000;

/** `tables` is SQL: what the example's own application has. */
export async function openDatabase(tables: string): Promise<ExampleDatabase> {
  const server = await startServer();
  const name = `nevertwice_example_${randomUUID().slice(0, 8)}`;
  const administer = async (statement: string): Promise<void> => {
    const client = new pg.Client({ connectionString: server.url });
    await client.connect();
    await client.query(statement).finally(() => client.end());
  };
  await administer(`create database ${name}`);
  const url = new URL(server.url);
  url.pathname = `/${name}`;
  const pool = new pg.Pool({ connectionString: url.href, max: 4 });
  pool.on("error", () => {});
  await pool.query(tables);
  const rows = async <Row>(text: string, values: readonly unknown[] = []): Promise<Row[]> =>
    (await pool.query(text, [...values])).rows as Row[];
  return {
    url: url.href,
    pool,
    rows,
    async settled(schema = "nevertwice") {
      for (const began = performance.now(); ;) {
        if ((await rows(`select from ${schema}.delivery limit 1`)).length === 0) return;
        if (performance.now() - began > PATIENCE_MS) throw new Error("something is still outstanding after a minute");
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    async [Symbol.asyncDispose]() {
      // Where the example failed its instances still run: what they say of the end of their database would bury the failure.
      const { warn, error } = console;
      console.warn = console.error = () => {};
      await pool.end();
      await administer(`drop database ${name} with (force)`);
      await server.stop();
      Object.assign(console, { warn, error });
    },
  };
}

async function startServer(): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const given = process.env["DATABASE_URL"] ?? "";
  if (given !== "") return { url: given, stop: async () => {} };
  const folder = await mkdtemp(path.join(os.tmpdir(), "nevertwice-example-"));
  const server = await startEmbedded({ folder });
  return {
    url: server.url,
    async stop() {
      await server.leave();
      // Where its own account cannot reach the folder, the server keeps its data in another.
      await rm(path.dirname(server.dataFolder), { recursive: true, force: true });
      await rm(folder, { recursive: true, force: true });
    },
  };
}
