import { describe, expect, test } from "vitest";
import { RetryError, TerminalError } from "../../src/index.ts";
import { until } from "../support/database.ts";
import { testDatabase } from "../support/instance.ts";

const db = testDatabase();
const fast = { baseMs: 1, maxMs: 5 } as const;
const outcomes = async (key: string): Promise<string[]> => {
  const rows = await db.rows<{ outcome: string }>(
    "select a.outcome from nevertwice.attempt a join nevertwice.message m on m.id = a.message_id where m.key = $1 order by a.ended_at",
    [key],
  );
  return rows.map((row) => row.outcome);
};
const effects = async (name: string): Promise<number> =>
  (await db.rows<{ n: number }>("select count(*)::int as n from effect where name = $1", [name]))[0]?.n ?? -1;
const settled = (key: string, last: string) =>
  until(`${key} ${last}`, async () => (await outcomes(key)).at(-1) === last);

describe("handlers", () => {
  test("every way a handler can end, each with its effects and its history", async () => {
    const nt = db.open();
    let runs = 0;
    const write = (tx: { query: Function }, name: string) => tx.query("insert into effect (name) values ($1)", [name]);
    nt.on("good", async (_, { tx }) => void (await write(tx, "good")));
    nt.on("no-tx", () => {});
    nt.on("terminal", async (_, { tx }) => {
      await write(tx, "terminal");
      throw new TerminalError("never");
    });
    nt.on("flaky", { retry: fast }, async (_, { tx, attempt }) => {
      await write(tx, "flaky");
      if (attempt < 3) throw new Error(`attempt ${attempt}`);
    });
    nt.on("hopeless", { retry: { ...fast, maxAttempts: 2 } }, async (_, { tx }) => {
      await write(tx, "hopeless");
      throw new Error("always");
    });
    nt.on("later", (_, { attempt }) => {
      if (attempt === 1) throw new RetryError("not yet", { afterMs: 300 });
    });
    // A handler swallowed a SQL error: PostgreSQL answers COMMIT with ROLLBACK, and who does not look believes it saved.
    nt.on("swallows", { retry: { ...fast, maxAttempts: 1 } }, async (_, { tx }) => {
      await write(tx, "swallows");
      await tx.query("select 1 / 0").catch(() => {});
    });
    // A forgotten await: its write would land after the settlement, or in a neighbour's transaction.
    nt.on("forgets", { retry: { ...fast, maxAttempts: 1 } }, (_, { tx }) => {
      void tx.query("insert into effect (name) select 'forgets' from pg_sleep(0.05)").catch(() => {});
    });
    nt.on("late", { retry: fast }, (_, { tx }) => {
      runs++;
      setTimeout(() => void tx.query("insert into effect (name) values ('late')").catch(() => {}), 20);
    });
    nt.on("controls", { retry: { ...fast, maxAttempts: 1 } }, async (_, { tx }) => {
      await write(tx, "controls");
      await tx.query("/* hidden */ commit");
    });
    nt.on("ends", { retry: { ...fast, maxAttempts: 1 } }, async (_, { tx }) => {
      await write(tx, "ends");
      await tx.query("select 1; rollback");
    });
    nt.on("calls", { retry: { ...fast, maxAttempts: 1 } }, async (_, { tx }) => {
      await write(tx, "calls");
      await tx.query("call ends_it()");
    });
    nt.on("reads", (event: { a: number }) => void event.a);
    await nt.ready();
    await db.pool.query("create procedure ends_it() language plpgsql as $$ begin commit; end $$");
    await nt.start();
    const topics = [
      "good",
      "no-tx",
      "terminal",
      "flaky",
      "hopeless",
      "later",
      "swallows",
      "forgets",
      "late",
      "controls",
      "ends",
      "calls",
    ];
    await nt.sendMany(topics.map((topic) => ({ topic, payload: {}, key: topic })));
    await nt.send("reads", Buffer.from("not json"), { key: "reads" });

    await settled("good", "completed");
    await settled("no-tx", "completed");
    await settled("terminal", "dead");
    await settled("flaky", "completed");
    await settled("hopeless", "dead");
    await settled("swallows", "dead");
    await settled("forgets", "dead");
    await settled("controls", "dead");
    await settled("ends", "dead");
    await settled("calls", "dead");
    await settled("late", "completed");
    await settled("reads", "dead");
    await settled("later", "completed");
    expect(await outcomes("flaky")).toEqual(["retry", "retry", "completed"]);
    expect(await outcomes("hopeless")).toEqual(["retry", "dead"]);
    expect(await outcomes("later")).toEqual(["retry", "completed"]);
    expect(runs).toBe(1);
    const counts: Record<string, number> = {
      good: 1,
      flaky: 1,
      terminal: 0,
      hopeless: 0,
      swallows: 0,
      forgets: 0,
      late: 0,
      controls: 0,
      ends: 0,
      calls: 0,
    };
    for (const [name, count] of Object.entries(counts)) expect.soft(await effects(name), name).toBe(count);
    const errors = await db.rows<{ key: string; error: string }>(
      "select m.key, l.error from nevertwice.dead_letter l join nevertwice.message m on m.id = l.message_id",
    );
    const error = Object.fromEntries(errors.map((row) => [row.key, row.error]));
    expect(error["terminal"]).toContain("never");
    expect(error["forgets"]).toContain("NT_TX_PENDING");
    expect(error["controls"]).toContain("NT_TX_CONTROL");
    expect(error["reads"]).toContain("NT_BODY_NOT_JSON");
    expect(error["ends"]).toContain("multiple commands");
  });

  test("a handler that runs too long is told, rolled back, and tried again", async () => {
    const nt = db.open();
    let told: unknown;
    // The second attempt has to end within it.
    nt.on("slow", { timeoutMs: 1_500, retry: fast }, async (_, { tx, signal }) => {
      await tx.query("insert into effect (name) values ('slow')");
      if (told !== undefined) return;
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      told = signal.reason;
    });
    await nt.start();
    await nt.send("slow", {}, { key: "slow" });
    await settled("slow", "completed");
    expect(told).toMatchObject({ code: "NT_TIMEOUT" });
    // A slow machine may need one more.
    const ended = await outcomes("slow");
    expect([ended.length > 1, new Set(ended.slice(0, -1)), ended.at(-1)]).toEqual([
      true,
      new Set(["retry"]),
      "completed",
    ]);
    expect(await effects("slow")).toBe(1);
  });

  test("a lease outlives a handler that takes longer than it", async () => {
    // Two renewals may be late: a machine that stands still for two seconds is no reason to lose it.
    const leaseMs = 4_000;
    const nt = db.open({ leaseMs });
    const other = db.open({ leaseMs });
    let runs = 0;
    const handler = async (_: unknown, { tx }: { tx: { query: Function } }) => {
      runs++;
      const [{ due } = { due: "" }] = await db.rows<{ due: string }>(
        "select due_at::text as due from nevertwice.delivery",
      );
      const over = "select clock_timestamp() > $1::timestamptz + interval '200 milliseconds' as over";
      await until(
        "the lease that it began with is over",
        async () => (await db.rows(over, [due]))[0]?.["over"] === true,
      );
      await tx.query("insert into effect (name) values ('long')");
    };
    nt.on("long", handler);
    other.on("long", handler);
    await nt.start();
    await other.start();
    await nt.send("long", {}, { key: "long" });
    await settled("long", "completed");
    expect([runs, await effects("long")]).toEqual([1, 1]);
  });

  test("at most `concurrency` handlers of a consumer run at the same time in a process", async () => {
    const nt = db.open();
    let running = 0;
    let most = 0;
    let done = 0;
    nt.on("narrow", { concurrency: 3 }, async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 5));
      running--;
      done++;
    });
    await nt.start();
    await nt.sendMany(Array.from({ length: 40 }, () => ({ topic: "narrow", payload: {} })));
    await until("forty done", () => done === 40);
    expect(most).toBe(3);
  });

  test("a heap of retries that are due does not keep a first attempt waiting", async () => {
    const nt = db.open();
    let failed = 0;
    let failedBefore = -1;
    nt.on("heap", { concurrency: 2, retry: { baseMs: 50, factor: 1, maxMs: 50 } }, (event: { good?: boolean }) => {
      if (event.good === true) failedBefore = failed;
      else failed++;
      if (event.good !== true) throw new Error("again");
    });
    await nt.sendMany(Array.from({ length: 3_000 }, () => ({ topic: "heap", payload: {} })));
    await nt.start();
    const waiting = "select from nevertwice.delivery where state = 'waiting' limit 1";
    await until("all of them are retries", async () => (await db.rows(waiting)).length === 0);
    await nt.send("heap", { good: true });
    const failedAtSend = failed;
    await until("the good one", () => failedBefore >= 0);
    // In its turn it would have come after all of them; it comes after those that were claimed already.
    expect(failedBefore - failedAtSend).toBeLessThan(1_500);
    await nt.stop({ deadlineMs: 500 });
  });
});
