// Many deliveries in one call and one transaction: each with an outcome of its own, and each never twice.
import { describe, expect, test } from "vitest";
import { RetryError, type StandardSchema, TerminalError } from "../../src/index.ts";
import { until } from "../support/database.ts";
import { testDatabase } from "../support/instance.ts";

const db = testDatabase();
const retry = { baseMs: 1, maxMs: 1, maxAttempts: 3 };

/** All that was written under a name, and how often. */
const effects = async (name: string): Promise<Record<string, number>> => {
  const rows = await db.rows<{ n: number; times: number }>(
    "select n, count(*)::int as times from effect where name = $1 group by n order by n",
    [name],
  );
  return Object.fromEntries(rows.map((row) => [row.n, row.times]));
};
const outstanding = async (consumer: string): Promise<number> =>
  (
    await db.rows(
      "select from nevertwice.delivery d join nevertwice.consumer c on c.id = d.consumer_id where c.name = $1",
      [consumer],
    )
  ).length;
const attempts = (consumer: string) =>
  db.rows<{ body: string; attempt: number; outcome: string; reruns: number }>(
    `select convert_from(m.body, 'UTF8') as body, a.attempt, a.outcome, a.reruns
     from nevertwice.attempt a
     join nevertwice.message m on m.id = a.message_id
     join nevertwice.consumer c on c.id = a.consumer_id
     where c.name = $1 order by a.ended_at, m.id`,
    [consumer],
  );
const INSERT = "insert into effect (name, n) select $1, unnest($2::int[])";

describe("a batch", () => {
  test("is one transaction: effects and completions of all its members commit together", async () => {
    const nt = db.open();
    const sizes: number[] = [];
    nt.onBatch<number>("whole", { size: 40, concurrency: 1 }, async (members, { tx }) => {
      sizes.push(members.length);
      await tx.query(INSERT, ["whole", members.map((member) => member.event)]);
    });
    await nt.sendMany(Array.from({ length: 100 }, (_, n) => ({ topic: "whole", payload: n })));
    await nt.start();
    await until("all done", async () => (await outstanding("whole")) === 0);
    expect(sizes).toEqual([40, 40, 20]);
    expect(Object.values(await effects("whole"))).toEqual(Array(100).fill(1));
    const outcomes = await db.rows(
      `select xmin::text as tx, count(*)::int as n from nevertwice.attempt
       where outcome = 'completed' and consumer_id = (select id from nevertwice.consumer where name = 'whole')
       group by xmin::text order by n`,
    );
    expect(outcomes.map((row) => row["n"])).toEqual([20, 40, 40]);
  });

  test("a member that fails costs nobody else: the rest runs again without it, as the same attempt", async () => {
    const nt = db.open();
    let calls = 0;
    nt.onBatch<number>("one-bad", { retry, concurrency: 1 }, async (members, { tx }) => {
      calls++;
      await tx.query(INSERT, ["one-bad", members.map((member) => member.event)]);
      for (const member of members) {
        if (member.event === 3) member.fail(new Error("three"));
        if (member.event === 5) member.fail(new TerminalError("five"));
      }
    });
    await nt.sendMany(Array.from({ length: 10 }, (_, n) => ({ topic: "one-bad", payload: n })));
    await nt.start();
    await until("all done", async () => (await outstanding("one-bad")) === 0);
    expect(await effects("one-bad")).toEqual({ 0: 1, 1: 1, 2: 1, 4: 1, 6: 1, 7: 1, 8: 1, 9: 1 });
    const log = await attempts("one-bad");
    const of = (body: string) => log.filter((row) => row.body === body).map((row) => `${row.attempt} ${row.outcome}`);
    expect(of("3")).toEqual(["1 retry", "2 retry", "3 dead"]);
    expect(of("5")).toEqual(["1 dead"]);
    expect(log.filter((row) => row.outcome === "completed").every((row) => row.attempt === 1 && row.reruns === 1)).toBe(
      true,
    );
    expect(calls).toBe(4);
  });

  test("a handler that throws is halved until the culprit is alone; all others are done, at their first attempt", async () => {
    const nt = db.open();
    nt.onBatch<number>("thrower", { retry: { ...retry, maxAttempts: 1 }, size: 64 }, async (members, { tx }) => {
      await tx.query(INSERT, ["thrower", members.map((member) => member.event)]);
      // The database's own error, too, does not say whose fault it was.
      await tx.query("select 1 / (case when 7 = any ($1::int[]) then 0 else 1 end)", [
        members.map((member) => member.event),
      ]);
    });
    await nt.sendMany(Array.from({ length: 64 }, (_, n) => ({ topic: "thrower", payload: n })));
    await nt.start();
    await until("all done", async () => (await outstanding("thrower")) === 0);
    expect(Object.values(await effects("thrower"))).toEqual(Array(63).fill(1));
    const log = await attempts("thrower");
    expect(log.filter((row) => row.outcome === "dead").map((row) => row.body)).toEqual(["7"]);
    expect(log.every((row) => row.attempt === 1)).toBe(true);
  });

  test("RetryError is about all of them: none is run again at once", async () => {
    const nt = db.open();
    let calls = 0;
    nt.onBatch<number>("outage", { retry }, () => {
      if (++calls === 1) throw new RetryError("the service is away", { afterMs: 50 });
    });
    await nt.sendMany(Array.from({ length: 20 }, (_, n) => ({ topic: "outage", payload: n })));
    await nt.start();
    await until("all done", async () => (await outstanding("outage")) === 0);
    expect(calls).toBe(2);
    expect((await attempts("outage")).filter((row) => row.outcome === "retry")).toHaveLength(20);
  });

  test("without `tx` a failure rolls nothing back: the others are completed as they are, in one call", async () => {
    const nt = db.open();
    let calls = 0;
    nt.onBatch<number>("no-tx", { retry }, (members) => {
      calls++;
      members[0]?.fail(new TerminalError("first"));
    });
    await nt.sendMany(Array.from({ length: 5 }, (_, n) => ({ topic: "no-tx", payload: n })));
    await nt.start();
    await until("all done", async () => (await outstanding("no-tx")) === 0);
    expect(calls).toBe(1);
    expect((await attempts("no-tx")).map((row) => row.outcome).toSorted()).toEqual([
      ...Array(4).fill("completed"),
      "dead",
    ]);
  });

  test("a member that somebody else has by now is left out; nothing of it takes effect here", async () => {
    const nt = db.open({ leaseMs: 30_000 });
    let calls = 0;
    nt.onBatch<number>("stolen", { retry }, async (members, { tx }) => {
      await tx.query(INSERT, ["stolen", members.map((member) => member.event)]);
      if (++calls > 1) return;
      const stolen = members.find((member) => member.event === 2);
      await db.rows("update nevertwice.delivery set claim = claim + 1 where id = $1", [stolen?.deliveryId]);
    });
    await nt.sendMany(Array.from({ length: 6 }, (_, n) => ({ topic: "stolen", payload: n })));
    await nt.start();
    await until("the rest is done", async () => (await outstanding("stolen")) === 1);
    await until("recorded", async () => (await attempts("stolen")).length === 6);
    expect(await effects("stolen")).toEqual({ 0: 1, 1: 1, 3: 1, 4: 1, 5: 1 });
    expect((await attempts("stolen")).find((row) => row.body === "2")?.outcome).toBe("superseded");
  });

  test("one whose handler outlives its time is rolled back; the signal tells it", async () => {
    const nt = db.open();
    let told = 0;
    nt.onBatch<number>("slow", { retry, timeoutMs: 200 }, async (members, { tx, signal }) => {
      await tx.query(INSERT, ["slow", members.map((member) => member.event)]);
      if (members[0]?.attempt === 1) {
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        told++;
      }
    });
    await nt.sendMany(Array.from({ length: 4 }, (_, n) => ({ topic: "slow", payload: n })));
    await nt.start();
    await until("all done", async () => (await outstanding("slow")) === 0);
    expect(told).toBeGreaterThan(0);
    expect(await effects("slow")).toEqual({ 0: 1, 1: 1, 2: 1, 3: 1 });
  });

  test("has one tenant: what leaks in a transaction stays at home", async () => {
    const nt = db.open();
    const seen: string[][] = [];
    nt.onBatch<number>("tenants", { concurrency: 1 }, (members) => {
      seen.push([...new Set(members.map((member) => member.message.tenant))]);
    });
    await nt.sendMany(
      Array.from({ length: 30 }, (_, n) => ({
        topic: "tenants",
        payload: n,
        tenant: ["a", "b", "c"][n % 3] as string,
      })),
    );
    await nt.start();
    await until("all done", async () => (await outstanding("tenants")) === 0);
    expect(seen.every((tenants) => tenants.length === 1)).toBe(true);
    expect(seen).toHaveLength(3);
  });

  test("of jobs: inputs are checked before, results are kept, and what a member sends leaves with the batch, once", async () => {
    const nt = db.open();
    const got: unknown[] = [];
    nt.on("indexed", (event) => void got.push(event));
    const even: StandardSchema<number> = {
      "~standard": {
        version: 1,
        vendor: "test",
        validate: (value: unknown) =>
          (value as number) % 2 === 0 ? { value: value as number } : { issues: [{ message: "odd" }] },
      },
    };
    const declared = nt.job("index", {});
    const ids = (await declared.enqueueMany(Array.from({ length: 6 }, (_, n) => ({ input: n })))).map((one) => one.id);
    const worker = db.open();
    let calls = 0;
    const job = worker.job("index", { input: even, retry }).onBatch({ size: 10 }, async (members, { tx }) => {
      await tx.query(INSERT, ["index", members.map((member) => member.event)]);
      for (const member of members) {
        await member.send("indexed", { n: member.event });
        member.result(member.event * 10);
      }
      if (++calls === 1) members[1]?.fail(new Error("once"));
    });
    await nt.start();
    await worker.start();
    const results = await Promise.all(
      ids.map((id) =>
        job
          .of(id)
          .result()
          .catch((error) => error.code),
      ),
    );
    expect(results).toEqual([0, "NT_JOB_DEAD", 20, "NT_JOB_DEAD", 40, "NT_JOB_DEAD"]);
    await until("all sent", () => got.length >= 3);
    expect(await effects("index")).toEqual({ 0: 1, 2: 1, 4: 1 });
    expect(got).toHaveLength(3);
  });
});
