// Where no process stays up: a cron calls, works for a while, and goes.
import { describe, expect, test } from "vitest";
import { until } from "../support/database.ts";
import { testDatabase } from "../support/instance.ts";

const db = testDatabase();

describe("runDue", () => {
  test("works on what is due and what that makes due, and returns when nothing is; what is due later stays", async () => {
    const nt = db.open();
    const ran: string[] = [];
    let failed = false;
    nt.on<{ n: number }>("first", async ({ n }, { send }) => {
      ran.push(`first ${n}`);
      await send("second", { n });
    });
    nt.on<{ n: number }>("second", { retry: { baseMs: 1, maxMs: 1 } }, ({ n }) => {
      if (!failed) {
        failed = true;
        throw new Error("once");
      }
      ran.push(`second ${n}`);
    });
    await nt.sendMany(Array.from({ length: 20 }, (_, n) => ({ topic: "first", payload: { n } })));
    await nt.send("first", { n: 99 }, { delayMs: 60_000 });
    const answer = await nt.runDue({ maxMs: 30_000 });
    expect(answer.more).toBe(false);
    expect(ran.filter((one) => one.startsWith("first"))).toHaveLength(20);
    // The one that failed is due again in its own time: now, or at the next call.
    expect(answer.ran).toBeGreaterThanOrEqual(40);
    expect(await nt.runDue({ maxMs: 30_000 })).toMatchObject({ more: false });
    expect(ran.filter((one) => one.startsWith("second"))).toHaveLength(20);
    expect(await db.rows("select from nevertwice.delivery")).toHaveLength(1);
  });

  test("begins nothing after its time: what runs then is rolled back after its grace, and done at the next call", async () => {
    const nt = db.open();
    let runs = 0;
    nt.on("slow", { consumer: "slow", concurrency: 1 }, async (_, { tx, signal }) => {
      await tx.query("insert into effect (name) values ('slow')");
      if (++runs > 2) return;
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
    });
    for (let i = 0; i < 3; i++) await nt.send("slow", i);
    expect(await nt.runDue({ maxMs: 300, graceMs: 50 })).toMatchObject({ more: true });
    expect(runs).toBe(1);
    expect(await nt.runDue({ maxMs: 300, graceMs: 50 })).toMatchObject({ more: true });
    expect(await db.rows("select from effect where name = 'slow'")).toHaveLength(0);
    expect(await nt.runDue({ maxMs: 30_000 })).toEqual({ ran: 3, more: false });
    expect(await db.rows("select from effect where name = 'slow'")).toHaveLength(3);
    const counted = await db.rows(
      "select from nevertwice.attempt where outcome = 'retry' and error like '%NT_SHUTDOWN%'",
    );
    expect(counted).toEqual([]);
  });

  test("beside a worker and beside itself: each is run once", async () => {
    const open = () => {
      const nt = db.open();
      nt.on("shared", { consumer: "shared" }, async (n, { tx }) => {
        await tx.query("insert into effect (name, n) values ('shared', $1)", [n]);
      });
      return nt;
    };
    const [worker, ...functions] = [open(), open(), open()];
    await worker?.sendMany(Array.from({ length: 500 }, (_, n) => ({ topic: "shared", payload: n })));
    await worker?.start();
    await Promise.all(functions.map((nt) => nt.runDue({ maxMs: 30_000 })));
    await until("all done", async () => (await db.rows("select from effect where name = 'shared'")).length >= 500);
    const rows = await db.rows("select n from effect where name = 'shared' group by n");
    expect(rows).toHaveLength(500);
    await expect(worker?.runDue({ maxMs: 1 })).rejects.toMatchObject({ code: "NT_OPTION" });
  });
});
