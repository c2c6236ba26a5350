import pg from "pg";
import { PostgresStore } from "../../src/store/postgres.ts";
import { openStore } from "../../src/store/open.ts";
import { storeConformance } from "../conformance/store.ts";
import { freshDatabase } from "../support/database.ts";
import { keepingLogger } from "../support/logger.ts";
import { describe } from "vitest";

describe("a pool of our own, pipelined, with prepared statements", () => {
  storeConformance(async () => {
    const { url, drop } = await freshDatabase();
    const store = await openStore(url, { schema: "nevertwice", logger: keepingLogger(), preparedStatements: true });
    return { store, close: () => store.close().then(drop) };
  });
});

describe("the user's pool, a schema of another name, a database whose defaults are wrong for us", () => {
  storeConformance(async () => {
    const { url, drop } = await freshDatabase();
    const name = new URL(url).pathname.slice(1);
    const admin = new pg.Client(url);
    await admin.connect();
    await admin.query(`alter database ${name} set default_transaction_isolation = 'repeatable read'`);
    await admin.query(`alter database ${name} set synchronous_commit = off`);
    await admin.query(`alter database ${name} set datestyle = 'German'`);
    await admin.query(`alter database ${name} set timezone = 'Asia/Kathmandu'`);
    await admin.end();
    const pool = new pg.Pool({ connectionString: url, max: 12 });
    const store = new PostgresStore(pool, { schema: 'Än "other" schema', logger: keepingLogger() });
    return {
      store,
      async close() {
        await store.close();
        await pool.end();
        await drop();
      },
    };
  });
});
