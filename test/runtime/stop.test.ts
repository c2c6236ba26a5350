import { spawn } from "node:child_process";
import { describe, expect, test } from "vitest";
import { until } from "../support/database.ts";
import { testDatabase } from "../support/instance.ts";

const db = testDatabase();
const outcomes = async (topic: string): Promise<string[]> =>
  (
    await db.rows<{ outcome: string }>(
      `select a.outcome from nevertwice.attempt a join nevertwice.message m on m.id = a.message_id
       where m.topic = $1 order by a.ended_at`,
      [topic],
    )
  ).map((row) => row.outcome);

describe("stop", () => {
  test("lets running handlers end, gives back what has not started, uncounted", async () => {
    const nt = db.open();
    let running = 0;
    let release = (): void => {};
    const released = new Promise<void>((resolve) => (release = resolve));
    nt.on("drain", { concurrency: 2 }, async (_, { tx }) => {
      running++;
      await released;
      await tx.query("insert into effect (name) values ('drain')");
    });
    await nt.sendMany(Array.from({ length: 10 }, () => ({ topic: "drain", payload: {} })));
    await nt.start();
    await until("two run", () => running === 2);
    const stopped = nt.stop({ deadlineMs: 100_000 });
    release();
    await stopped;
    expect(await outcomes("drain")).toEqual(["completed", "completed"]);
    // Due at once: nobody waits for the end of a lease.
    const left = await db.rows(
      "select state, attempts, due_at <= clock_timestamp() as due from nevertwice.delivery group by 1, 2, 3",
    );
    expect(left).toEqual([{ state: "waiting", attempts: 0, due: true }]);
    expect(await db.rows("select from nevertwice.delivery")).toHaveLength(8);
    const next = db.open();
    next.on("drain", async (_, { tx }) => void (await tx.query("insert into effect (name) values ('drain')")));
    await next.start();
    await until("the rest", async () => (await outcomes("drain")).length === 10);
  });

  test("past the deadline a handler is rolled back whole: half of it never commits, and it is not an attempt", async () => {
    const nt = db.open();
    let told: unknown;
    let wrote = false;
    nt.on("stuck", async (_, { tx, signal }) => {
      await tx.query("insert into effect (name) values ('stuck')");
      wrote = true;
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => ((told = signal.reason), resolve())));
      // It goes on all the same: nothing that it does from here on may count.
      await tx.query("insert into effect (name) values ('stuck')").catch(() => {});
    });
    await nt.send("stuck", {});
    await nt.start();
    await until("it wrote", () => wrote);
    await nt.stop({ deadlineMs: 100 });
    expect(told).toMatchObject({ code: "NT_SHUTDOWN" });
    expect(await db.rows("select from effect where name = 'stuck'")).toHaveLength(0);
    expect(await outcomes("stuck")).toEqual(["interrupted"]);
    expect((await db.rows("select attempts from nevertwice.delivery"))[0]).toEqual({ attempts: 0 });
    const next = db.open();
    next.on("stuck", async (_, { tx, attempt }) => {
      expect(attempt).toBe(1);
      await tx.query("insert into effect (name) values ('stuck')");
    });
    await next.start();
    await until("completed", async () => (await outcomes("stuck")).includes("completed"));
    expect(await db.rows("select from effect where name = 'stuck'")).toHaveLength(1);
  });

  test("can be called before start, twice, and on an instance that never opened its database", async () => {
    const unused = db.open({ database: undefined });
    await unused.stop();
    await unused.stop();
    await expect(unused.send("x", {})).rejects.toThrow("NT_NOT_STARTED");
  });
});

describe("a worker that vanishes", () => {
  test("a poison message that kills its process ends as a dead letter, and costs no neighbour an attempt", async () => {
    // A queue stopped behind one poison message; elsewhere the messages claimed with it were counted along, unrun.
    const nt = db.open();
    nt.on("mine", { consumer: "mine", retry: { maxAttempts: 2 } }, () => {});
    await nt.ready();
    await nt.sendMany(Array.from({ length: 30 }, (_, i) => ({ topic: "mine", payload: { i } })));
    const worker = () =>
      spawn(process.execPath, ["test/support/poisoned-worker.ts"], {
        env: { ...process.env, TEST_URL: db.url },
        stdio: "inherit",
      });
    // The leases that a killed worker held end with it: they are not waited for, and a slow machine cannot end any other.
    const expire = () =>
      db.rows("update nevertwice.delivery set due_at = clock_timestamp() - interval '1 second' where state = 'leased'");
    for (let starts = 0; starts < 9; starts++) {
      const child = worker();
      let ended = false;
      const exit = new Promise<void>((resolve) => child.once("exit", () => ((ended = true), resolve())));
      const settled = async () => (await db.rows("select from nevertwice.delivery")).length === 0;
      await until("it was killed, or all is settled", async () => ended || (await settled()));
      child.kill("SIGKILL");
      await exit;
      if (await settled()) break;
      await expire();
    }
    expect(await db.rows("select from nevertwice.delivery")).toEqual([]);
    const effects = await db.rows<{ n: number }>("select n from effect where name = 'mine'");
    expect(effects.map((row) => row.n).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 30 }, (_, i) => i).filter((i) => i !== 7),
    );
    const dead = await db.rows("select attempts, error from nevertwice.dead_letter");
    expect(dead).toHaveLength(1);
    expect(dead[0]?.["attempts"]).toBe(2);
    const counted = await db.rows(
      `select a.outcome, a.attempt, convert_from(m.body, 'UTF8')::json ->> 'i' as i
       from nevertwice.attempt a join nevertwice.message m on m.id = a.message_id where m.topic = 'mine'`,
    );
    for (const row of counted.filter((one) => one["i"] !== "7" && one["outcome"] === "completed"))
      expect(row["attempt"]).toBe(1);
    expect(
      counted
        .filter((one) => one["i"] === "7")
        .map((one) => one["outcome"])
        .sort(),
    ).toContain("lost");
  });
});
