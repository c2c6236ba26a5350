import { describe, expect, test } from "vitest";
import { until } from "../support/database.ts";
import { testDatabase } from "../support/instance.ts";

const db = testDatabase();
const count = async (name: string): Promise<number> =>
  (await db.rows("select from effect where name = $1", [name])).length;
const many = (topic: string, n: number) => Array.from({ length: n }, (_, i) => ({ topic, payload: { i } }));

describe("a consumer whose handlers do not end", () => {
  // A queue of another consumer stopped behind one poison message (graphile/worker#254): here what hangs hangs in JavaScript,
  // in an open transaction, or in the database, as many at a time as its concurrency lets it.
  test.each(["before tx", "with tx open", "in a statement"] as const)(
    "hanging %s, holds up no other consumer",
    async (where) => {
      const nt = db.open();
      const [stuck, quick] = [`stuck ${where}`.replaceAll(" ", "-"), `quick ${where}`.replaceAll(" ", "-")];
      let hanging = 0;
      let release = (): void => {};
      const released = new Promise<void>((resolve) => (release = resolve));
      // Longer than the test may take: whoever waits for them never gets there.
      const timeoutMs = 3_600_000;
      const options = { concurrency: 20, group: false, timeoutMs, retry: { maxAttempts: 1 } };
      nt.on(stuck, options, async (_, { tx, signal }) => {
        const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve));
        hanging++;
        if (where !== "before tx") await tx.query("select 1");
        if (where === "in a statement") await tx.query("select pg_sleep(3600)");
        await Promise.race([released, aborted]);
      });
      nt.on(quick, async (_, { tx }) => void (await tx.query("insert into effect (name) values ($1)", [quick])));
      await nt.sendMany(many(stuck, 40));
      await nt.start();
      await until("they hang", () => hanging === 20);
      await nt.sendMany(many(quick, 100));
      await until("the others are done", async () => (await count(quick)) === 100);
      // And a stop does not wait for statements that it has given up: it took as long as the longest of them.
      let stopped = false;
      void nt.stop({ deadlineMs: 0 }).then(() => (stopped = true));
      await until("it has stopped", () => stopped);
      release();
      await db.rows("select pg_terminate_backend(pid) from pg_stat_activity where query like 'select pg_sleep%'");
    },
  );
});

describe("a consumer that is busy", () => {
  // All its handlers were running whenever it looked, so what a killed worker had left waited until nothing else did.
  test("takes over what a killed worker left, before what came after it", async () => {
    const nt = db.open({ leaseMs: 2_000 });
    let handled = 0;
    let at = 0;
    nt.on<{ i: number }>("busy", { concurrency: 2 }, async ({ i }) => {
      handled++;
      if (i === 999) at = handled;
      await new Promise((resolve) => setTimeout(resolve, 20));
    });
    await nt.sendMany(many("busy", 999));
    const { id } = await nt.send("busy", { i: 999 });
    await nt.start();
    await until("it is busy", () => handled > 20);
    await db.rows("update nevertwice.delivery set state = 'leased', claim = 7, due_at = now() where message_id = $1", [
      id,
    ]);
    const before = handled;
    await until("it is taken over", () => at > 0);
    // A look each 400 ms at this lease: some 40 handlers; the rest is for slow machines. Without it some 900.
    expect(at - before).toBeLessThan(300);
    await nt.stop({ deadlineMs: 1_000 });
  });
});
