import { describe, expect, test } from "vitest";
import type { Store, Transaction } from "../../src/core/ports/store.ts";
import { openStore } from "../../src/store/open.ts";
import { until } from "../support/database.ts";
import { testDatabase } from "../support/instance.ts";
import { keepingLogger } from "../support/logger.ts";

const db = testDatabase();

/** The store, with another COMMIT in the transactions of handlers. */
async function withCommit(
  commit: (
    tx: Transaction,
    settle: () => ReturnType<Transaction["settleAndCommit"]>,
  ) => ReturnType<Transaction["settleAndCommit"]>,
): Promise<Store> {
  const store = await openStore(db.url, { schema: "nevertwice", logger: keepingLogger() });
  const begin = store.begin.bind(store);
  return Object.assign(store, {
    async begin(...words: Parameters<Store["begin"]>) {
      const tx = await begin(...words);
      const settle = tx.settleAndCommit.bind(tx);
      return Object.assign(tx, {
        settleAndCommit: (all: Parameters<typeof settle>[0]) => commit(tx, () => settle(all)),
      });
    },
  });
}

const effects = async (name: string) =>
  db.rows<{ n: number; times: number }>("select n, count(*)::int as times from effect where name = $1 group by n", [
    name,
  ]);

describe("the reply to COMMIT is lost", () => {
  test.each([true, false])(
    "while groups are under way, committed: %s: every effect once, nothing lost",
    async (commits) => {
      let cuts = 0;
      const store = await withCommit(async (tx, settle) => {
        if (cuts++ % 2 === 0) return settle();
        if (commits) await settle();
        else await tx.rollback();
        return "unknown";
      });
      const topic = `cut-${commits}`;
      const nt = db.open({ database: store });
      nt.on(topic, { concurrency: 20 }, async ({ i }: { i: number }, { tx }) => {
        await tx.query("insert into effect (name, n) values ($1, $2)", [topic, i]);
      });
      await nt.sendMany(Array.from({ length: 200 }, (_, i) => ({ topic, payload: { i } })));
      await nt.start();
      await until("all settled", async () => (await db.rows("select from nevertwice.delivery")).length === 0);
      const found = await effects(topic);
      expect(found).toHaveLength(200);
      expect(found.every((row) => row.times === 1)).toBe(true);
      expect(cuts).toBeGreaterThan(1);
    },
  );

  test("and COMMIT is still under way: left to the claim loop; whichever way it ends, the effect is there once", async () => {
    const late: Promise<unknown>[] = [];
    let cuts = 0;
    const store = await withCommit(async (_, settle) => {
      if (cuts++ > 0) return settle();
      // Forwarded three seconds later: longer than the fenced update waits for its lock.
      late.push(new Promise((resolve) => setTimeout(resolve, 3_000)).then(settle));
      return "unknown";
    });
    // Left to the claim loop, it waits for the lease to end.
    const nt = db.open({ database: store, leaseMs: 2_000 });
    nt.on("late-commit", async (_, { tx }) => {
      await tx.query("insert into effect (name, n) values ('late-commit', 1)");
    });
    await nt.send("late-commit", {});
    await nt.start();
    await until("the first cut", () => late.length > 0);
    await Promise.allSettled(late);
    await until("all settled", async () => (await db.rows("select from nevertwice.delivery")).length === 0);
    expect(await effects("late-commit")).toEqual([{ n: 1, times: 1 }]);
  });
});

describe("connections are lost", () => {
  test("sessions killed all the time: every effect once, and the process lives", async () => {
    const nt = db.open({ leaseMs: 2_000 });
    nt.on(
      "killed",
      { concurrency: 20, retry: { baseMs: 5, maxMs: 50, maxAttempts: 1_000 } },
      async ({ i }: { i: number }, { tx }) => {
        await tx.query("insert into effect (name, n) values ('killed', $1)", [i]);
        await tx.query("select pg_sleep(0.002)");
      },
    );
    await nt.sendMany(Array.from({ length: 300 }, (_, i) => ({ topic: "killed", payload: { i } })));
    await nt.start();
    for (let i = 0; i < 40; i++) {
      await db.pool.query(
        `select pg_terminate_backend(pid) from (
           select pid from pg_stat_activity
           where datname = current_database() and pid <> pg_backend_pid() and application_name <> 'beside'
           order by random() limit 2
         ) picked`,
      );
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    await until(
      "all settled",
      async () => (await db.rows("select from nevertwice.delivery").catch(() => [1])).length === 0,
    );
    const found = await effects("killed");
    expect(found).toHaveLength(300);
    expect(found.every((row) => row.times === 1)).toBe(true);
  });
});
