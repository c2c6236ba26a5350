// Each library with its own real transactions, on real PostgreSQL: the suite that a new one has to pass.
import { sql as drizzleSql } from "drizzle-orm";
import { drizzle as drizzleOnPg } from "drizzle-orm/node-postgres";
import { drizzle as drizzleOnPostgres } from "drizzle-orm/postgres-js";
import knex from "knex";
import { Kysely, PostgresDialect, sql as kyselySql } from "kysely";
import pg from "pg";
import postgres from "postgres";
import { DataSource } from "typeorm";
import { afterAll, describe, expect, test } from "vitest";
import type { OutboxTx } from "../../src/index.ts";
import { until } from "../support/database.ts";
import { testDatabase } from "../support/instance.ts";
import { withPrisma } from "../support/parts.ts";
import { prisma } from "../support/prisma.ts";

const db = testDatabase();
const INSERT = "insert into effect (name) values ('outbox')";

interface Opened {
  /** Runs `work` in a transaction: commits when it returns, rolls back when it throws. */
  transaction(work: (tx: OutboxTx, insert: () => PromiseLike<unknown>) => Promise<void>): Promise<unknown>;
  /** The same library, outside of a transaction. */
  readonly outside: OutboxTx;
  close(): Promise<unknown>;
}

const libraries: Readonly<Record<string, (url: string) => Opened | Promise<Opened>>> = {
  pg: (url) => {
    const pool = new pg.Pool({ connectionString: url, max: 2 });
    return {
      outside: pool,
      async transaction(work) {
        const client = await pool.connect();
        try {
          await client.query("begin");
          await work(client, () => client.query(INSERT));
          await client.query("commit");
        } catch (error) {
          await client.query("rollback");
          throw error;
        } finally {
          client.release();
        }
      },
      close: () => pool.end(),
    };
  },
  "postgres.js": (url) => {
    const sql = postgres(url, { max: 2, onnotice: () => {} });
    return {
      outside: sql,
      transaction: (work) => sql.begin((tx) => work(tx, () => tx.unsafe(INSERT))),
      close: () => sql.end(),
    };
  },
  "Drizzle on pg": (url) => {
    const pool = new pg.Pool({ connectionString: url, max: 2 });
    const drizzle = drizzleOnPg({ client: pool });
    return {
      outside: drizzle,
      transaction: (work) => drizzle.transaction((tx) => work(tx, () => tx.execute(drizzleSql.raw(INSERT)))),
      close: () => pool.end(),
    };
  },
  "Drizzle on postgres.js": (url) => {
    const sql = postgres(url, { max: 2, onnotice: () => {} });
    const drizzle = drizzleOnPostgres({ client: sql });
    return {
      outside: drizzle,
      transaction: (work) => drizzle.transaction((tx) => work(tx, () => tx.execute(drizzleSql.raw(INSERT)))),
      close: () => sql.end(),
    };
  },
  Kysely: (url) => {
    const kysely = new Kysely<object>({
      dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: url, max: 2 }) }),
    });
    return {
      outside: kysely,
      transaction: (work) => kysely.transaction().execute((trx) => work(trx, () => kyselySql.raw(INSERT).execute(trx))),
      close: () => kysely.destroy(),
    };
  },
  Knex: (url) => {
    const made = knex({ client: "pg", connection: url, pool: { min: 0, max: 2 } });
    return {
      outside: made,
      transaction: (work) => made.transaction((trx) => work(trx, () => trx.raw(INSERT))),
      close: () => made.destroy(),
    };
  },
  Prisma: async (url) => {
    const client = (await prisma()).open(url);
    return {
      outside: client,
      transaction: (work) => client.$transaction((tx: any) => work(tx, () => tx.$executeRawUnsafe(INSERT))),
      close: () => client.$disconnect(),
    };
  },
  TypeORM: async (url) => {
    const source = await new DataSource({ type: "postgres", url, poolSize: 2 }).initialize();
    return {
      outside: source.manager,
      transaction: (work) => source.transaction((manager) => work(manager, () => manager.query(INSERT))),
      close: () => source.destroy(),
    };
  },
};

for (const name of Object.keys(libraries)) {
  (name === "Prisma" ? withPrisma : describe)(`the outbox of ${name}`, () => outboxOf(name));
}

function outboxOf(name: string): void {
  let opened: Opened | undefined;
  const open = async (): Promise<Opened> =>
    (opened ??= await (libraries[name] as (url: string) => Opened | Promise<Opened>)(db.url));
  afterAll(async () => void (await opened?.close()));

  test("commits with the caller's rows, rolls back with them, and is one with nt.send's keys", async () => {
    const library = await open();
    const nt = db.open();
    const got: unknown[] = [];
    const topic = `outbox.${name.replaceAll(" ", "-")}`;
    nt.on(topic, (event) => void got.push(event));
    await nt.start();
    const rows = async () => (await db.rows("select from effect where name = 'outbox'")).length;
    const before = await rows();

    const back = library.transaction(async (tx, insert) => {
      await insert();
      expect((await nt.send(topic, { n: 0 }, { key: `${name}-0`, tx })).kind).toBe("accepted");
      throw new Error("taken back");
    });
    await expect(back).rejects.toThrow("taken back");
    expect(await rows()).toBe(before);
    expect(await db.rows("select from nevertwice.message where topic = $1", [topic])).toEqual([]);

    const payload = { quote: 'it\'s "quoted" $1 ? \\ ', text: "€ \u0000 \u{1f600}" };
    let id = "";
    await library.transaction(async (tx, insert) => {
      await insert();
      const sent = await nt.sendMany(
        [
          { topic, payload, key: `${name}-1` },
          { topic, payload: "later", key: `${name}-2`, delayMs: 3_600_000 },
          { topic, payload, key: `${name}-1` },
        ],
        { tx },
      );
      expect(sent.map((one) => one.kind)).toEqual(["accepted", "accepted", "duplicate"]);
      id = sent[0]?.id ?? "";
    });
    expect(await rows()).toBe(before + 1);
    await until("the message is handled", () => got.length > 0);
    expect(got).toEqual([payload]);
    expect(await nt.send(topic, payload, { key: `${name}-1` })).toEqual({ id, kind: "duplicate" });
  });

  test("is refused outside of a transaction, where it would be sent whatever becomes of the rest", async () => {
    const library = await open();
    const nt = db.open();
    await expect(nt.send("outside", 1, { tx: library.outside })).rejects.toMatchObject({ code: "NT_SEND_TX" });
    expect(await db.rows("select from nevertwice.message where topic = 'outside'")).toEqual([]);
  });
}
