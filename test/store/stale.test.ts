import pg from "pg";
import { expect, test } from "vitest";
import { PostgresStore } from "../../src/store/postgres.ts";
import { testDatabase } from "../support/instance.ts";
import { keepingLogger } from "../support/logger.ts";

const db = testDatabase();
const LIMITS = { idleMs: 10_000, lockMs: 1_000, statementMs: 10_000 };

// A migration of the user's changed a table under a prepared statement: "cached plan must not change result type" (0A000),
// and it says so for as long as the connection lives. It went back to the pool, to fail the next attempt, and the next.
test("a connection whose plan was made stale by DDL is destroyed: the next attempt has another", async () => {
  await db.pool.query("create table shape as select 1 as id");
  const pool = new pg.Pool({ connectionString: db.url, max: 1 });
  const store = new PostgresStore(pool, { schema: "nevertwice", logger: keepingLogger(), preparedStatements: true });
  const columns = async (): Promise<number | string> => {
    const tx = await store.begin(LIMITS, "w");
    try {
      const { rows } = await tx.query("select * from shape");
      return Object.keys(rows[0] ?? {}).length;
    } catch (error) {
      return (error as { code: string }).code;
    } finally {
      await tx.rollback();
    }
  };
  expect(await columns()).toBe(1);
  await db.pool.query("alter table shape add column more int");
  expect([await columns(), await columns()]).toEqual(["0A000", 2]);
  await pool.end();
});
