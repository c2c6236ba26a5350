import { beforeAll, afterAll, expect, test } from "vitest";
import pg from "pg";
import { bearer } from "../../src/sources/all.ts";
import { openStore } from "../../src/store/open.ts";
import { PostgresStore } from "../../src/store/postgres.ts";
import { storeConformance } from "../conformance/store.ts";
import { freshDatabase, until } from "../support/database.ts";
import { testDatabase } from "../support/instance.ts";
import { keepingLogger } from "../support/logger.ts";
import { withPgbouncer } from "../support/parts.ts";
import { startPgbouncer } from "../support/pgbouncer.ts";

const unheard = "a transaction pooler gives the session that listens to others";

withPgbouncer("behind pgbouncer in transaction mode, a pool of our own, pipelined", () => {
  storeConformance(
    async () => {
      const { url, drop } = await freshDatabase();
      const pooler = await startPgbouncer(url);
      const store = await openStore(pooler.url, { schema: "nevertwice", logger: keepingLogger() });
      return {
        store,
        async close() {
          // First what must not be left behind: the pool waits for a transaction that a failed test left open.
          await pooler.stop();
          await drop();
          await store.close();
        },
      };
    },
    { unheard },
  );
});

withPgbouncer(
  "behind pgbouncer in transaction mode, the user's pool, a database whose defaults are wrong for us",
  () => {
    storeConformance(
      async () => {
        const { url, drop } = await freshDatabase();
        const admin = new pg.Client(url);
        await admin.connect();
        const name = new URL(url).pathname.slice(1);
        await admin.query(`alter database ${name} set default_transaction_isolation = 'repeatable read'`);
        await admin.query(`alter database ${name} set synchronous_commit = off`);
        await admin.end();
        const pooler = await startPgbouncer(url);
        const pool = new pg.Pool({ connectionString: pooler.url, max: 12 });
        const store = new PostgresStore(pool, { schema: "nevertwice", logger: keepingLogger() });
        return {
          store,
          async close() {
            await pool.end();
            await pooler.stop();
            await drop();
          },
        };
      },
      { unheard },
    );
  },
);

withPgbouncer("the whole way behind pgbouncer in transaction mode", () => {
  const db = testDatabase();
  let pooler: Awaited<ReturnType<typeof startPgbouncer>>;
  beforeAll(async () => {
    pooler = await startPgbouncer(db.url);
  });
  afterAll(() => pooler.stop());

  const MESSAGES = 150;
  const settled = () =>
    until("all settled", async () => (await db.rows("select from nevertwice.delivery")).length === 0);

  test("received, some twice; handled by two instances with tx, step and send; each effect once", async () => {
    const provider: string[] = [];
    const instances = [0, 1].map(() => {
      const nt = db.open({ database: pooler.url });
      const inbox = nt.inbox("shop", bearer({ secret: "token", key: { header: "x-id" }, topic: "order" }));
      inbox.on("order", { consumer: "order" }, async (_, { message, tx, step, send }) => {
        await step.run("charge", ({ idempotencyKey }) => void provider.push(idempotencyKey));
        await tx.query("insert into effect (name) values ($1)", [message.key]);
        await send("receipt", { order: message.key });
      });
      nt.on<{ order: string }>("receipt", { consumer: "receipt" }, async ({ order }, { tx }) => {
        await tx.query("insert into effect (name) values ($1)", [`receipt of ${order}`]);
      });
      return { nt, inbox };
    });
    for (const { nt } of instances) await nt.start();
    const keys = Array.from({ length: MESSAGES }, (_, i) => `order-${i}`);
    const answers = await Promise.all(
      [...keys, ...keys].map(async (key, i) => {
        const headers = { authorization: "Bearer token", "x-id": key };
        const request = new Request("http://localhost/", { method: "POST", headers, body: "{}" });
        return (await instances[i % 2]?.inbox.receive(request))?.status;
      }),
    );
    expect(answers.filter((status) => status === 202)).toHaveLength(MESSAGES);
    expect(answers.filter((status) => status === 200)).toHaveLength(MESSAGES);
    await settled();
    const effects = await db.rows<{ name: string }>("select name from effect order by name");
    expect(effects.map((row) => row.name)).toEqual([...keys, ...keys.map((key) => `receipt of ${key}`)].sort());
    expect(provider).toHaveLength(MESSAGES);
    expect(new Set(provider).size).toBe(MESSAGES);
    // Nothing was lost or run again on the way: each delivery has one attempt.
    expect(await db.rows("select outcome, count(*)::int as n from nevertwice.attempt group by outcome")).toEqual([
      { outcome: "completed", n: 2 * MESSAGES },
    ]);
  });

  // A worker that waits for hints polls once a minute when it is idle. Behind a pooler none come, and it did not know.
  test("what another process accepts is found without a hint, and the log says that none come", async () => {
    const logger = keepingLogger();
    const worker = db.open({ database: pooler.url, logger });
    worker.on("late", async (_, { tx }) => {
      await tx.query("insert into effect (name) values ('late')");
    });
    await worker.start();
    await until("it is known that no hints come", () => logger.lines.some((line) => line.event.startsWith("no hints")));
    const sender = db.open({ database: pooler.url });
    await sender.send("late", {});
    await settled();
    expect(await db.rows("select from effect where name = 'late'")).toHaveLength(1);
  });
});
