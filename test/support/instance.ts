import { afterAll, afterEach, beforeAll } from "vitest";
import pg from "pg";
import { Nevertwice, type NevertwiceOptions } from "../../src/index.ts";
import { freshDatabase } from "./database.ts";
import { keepingLogger } from "./logger.ts";

export interface TestDatabase {
  readonly url: string;
  readonly pool: pg.Pool;
  /** Rows of a statement on a connection beside the product. */
  rows<Row = Record<string, any>>(text: string, values?: unknown[]): Promise<Row[]>;
  /**
   * One instance of the product; stopped after the test. Its lease is the default one: with a short one a machine that stands
   * still for two seconds changes what happens. A test that waits for a lease to end says so.
   */
  open(options?: Partial<NevertwiceOptions>): Nevertwice;
}

/** A database of its own for the tests of a file, with a table `effect` that takes everything twice. */
export function testDatabase(): TestDatabase {
  const opened: Nevertwice[] = [];
  let fresh: Awaited<ReturnType<typeof freshDatabase>>;
  let pool: pg.Pool;
  beforeAll(async () => {
    fresh = await freshDatabase();
    pool = new pg.Pool({ connectionString: fresh.url, max: 8, application_name: "beside" });
    pool.on("error", () => {});
    await pool.query("create table effect (name text not null, n int)");
    await pool.query("create table hot (id int primary key, n int not null default 0)");
    await pool.query("insert into hot (id) select generate_series(1, 20)");
  });
  afterEach(async ({ task }) => {
    await Promise.all(opened.splice(0).map((nt) => nt.stop({ deadlineMs: 1_000 })));
    // What a failed test leaves outstanding would fail those after it, and hide which one it was.
    if (task.result?.state === "fail") await pool.query("delete from nevertwice.delivery").catch(() => {});
  });
  afterAll(async () => {
    // Not for long: a test that failed may have left a client checked out. The drop ends its session.
    await Promise.race([pool.end(), new Promise((resolve) => setTimeout(resolve, 2_000))]);
    await fresh.drop();
  });
  return {
    get url() {
      return fresh.url;
    },
    get pool() {
      return pool;
    },
    async rows<Row>(text: string, values?: unknown[]) {
      return (await pool.query(text, values)).rows as Row[];
    },
    open(options = {}) {
      const nt = new Nevertwice({ database: fresh.url, logger: keepingLogger(), ...options });
      opened.push(nt);
      return nt;
    },
  };
}
