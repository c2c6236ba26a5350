// Every statement of the store, prepared on the real server: a wrong name or type is found here, and not when a path that is
// seldom walked is walked for the first time.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Connections } from "../../src/store/connections.ts";
import { openStore } from "../../src/store/open.ts";
import { freshDatabase } from "../support/database.ts";
import { keepingLogger } from "../support/logger.ts";

interface Statement {
  /** The file, and the statement's name: its first line. */
  readonly name: string;
  readonly text: string;
}

const files = readdirSync("src/store", { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));

function statements(file: string): Statement[] {
  const text = readFileSync(path.join("src/store", file), "utf8");
  return [...text.matchAll(/`(-- [^`]*)`/g)].map(([, statement = ""]) => ({
    name: `${file}: ${statement.slice(3).split("\n")[0]}`,
    text: statement,
  }));
}

/** Names in capitals that stand for a template literal: what a statement is kept in, whatever it begins with. */
function constants(file: string): string[] {
  const text = readFileSync(path.join("src/store", file), "utf8");
  return [...text.matchAll(/^(?:export )?const ([A-Z][A-Z_]*)\b[^=\n]*= *`/gm)].map(([, name = ""]) => name);
}

describe("every statement of the store", () => {
  // A schema whose name needs quotes: a statement that names the tables in another way finds none.
  const schema = 'Of "statements"';
  let drop: () => Promise<void>;
  let client: pg.Client;
  let connections: Connections;

  beforeAll(async () => {
    const fresh = await freshDatabase();
    drop = fresh.drop;
    const store = await openStore(fresh.url, { schema, logger: keepingLogger() });
    await store.migrate("auto");
    await store.close();
    client = new pg.Client(fresh.url);
    await client.connect();
    connections = new Connections(new pg.Pool({ connectionString: fresh.url }), schema, keepingLogger(), false);
  });
  afterAll(async () => {
    await client.end();
    await drop();
  });

  /** What the server has against it. What it does not prepare is run, and taken back. */
  async function complaint({ text }: Statement): Promise<string | undefined> {
    try {
      if (/^lock /m.test(text)) {
        await client.query("begin");
        await client.query(connections.placed(text)).finally(() => client.query("rollback"));
        return undefined;
      }
      await client.query(`prepare statement as ${connections.placed(text)}`);
      await client.query("deallocate statement");
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }

  const all = files.flatMap(statements);
  test.each(all)("$name", async (statement) => {
    expect(await complaint(statement)).toBeUndefined();
  });

  test("is found: as many as there are constants that hold one, and each has a name of its own", () => {
    for (const file of files) expect(statements(file).length, file).toBe(constants(file).length);
    expect(all.length).toBeGreaterThan(45);
    expect(new Set(all.map((one) => one.name)).size).toBe(all.length);
  });

  test("that is broken is told: a wrong column, a wrong table, a wrong type, a parameter of no type", async () => {
    const told = (text: string) => complaint({ name: "broken", text: `-- broken\n${text}` });
    expect(await told("select m.body_of from nevertwice.message m")).toMatch(/body_of does not exist/);
    expect(await told("select from nevertwice.mesage")).toMatch(/mesage" does not exist/);
    expect(await told("select from message")).toMatch(/"message" does not exist/);
    expect(await told("select from nevertwice.delivery where id = $1::text")).toMatch(/operator does not exist/);
    expect(await told("select from nevertwice.message where $1 is null")).toMatch(/data type of parameter \$1/);
  });
});
