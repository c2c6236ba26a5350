import { describe, expect, test } from "vitest";
import { TerminalError } from "../../src/index.ts";
import { heldClock } from "../support/clock.ts";
import { until } from "../support/database.ts";
import { testDatabase } from "../support/instance.ts";

const db = testDatabase();
const fast = { baseMs: 1, maxMs: 5 } as const;
const settled = () => until("all settled", async () => (await db.rows("select from nevertwice.delivery")).length === 0);

describe("steps", () => {
  test("a finished step is never run again; each try carries the same key; its result is what was recorded", async () => {
    const nt = db.open();
    const calls: { step: string; key: string; tries: number }[] = [];
    const results: unknown[] = [];
    nt.on("pay", { retry: fast }, async (_, { step, attempt, tx }) => {
      const receipt = await step.run("receipt", ({ idempotencyKey, tries }) => {
        calls.push({ step: "receipt", key: idempotencyKey, tries });
        return { id: calls.length, at: undefined };
      });
      results.push(receipt);
      await step.run("charge", ({ idempotencyKey, tries }) => {
        calls.push({ step: "charge", key: idempotencyKey, tries });
        if (attempt === 1) throw new Error("the provider hung up");
      });
      await tx.query("insert into effect (name) values ('pay')");
      if (attempt === 2) throw new Error("after the steps");
    });
    await nt.send("pay", {});
    await nt.start();
    await settled();
    expect(calls.map((call) => [call.step, call.tries])).toEqual([
      ["receipt", 1],
      ["charge", 1],
      ["charge", 2],
    ]);
    expect(calls[1]?.key).toBe(calls[2]?.key);
    expect(calls[0]?.key).not.toBe(calls[1]?.key);
    expect(results).toEqual([{ id: 1, at: undefined }, { id: 1 }, { id: 1 }]);
    expect(await db.rows("select from effect where name = 'pay'")).toHaveLength(1);
  });

  test("two consumers of one message never share a step, and a name is used once in a handler", async () => {
    const nt = db.open();
    const keys = new Set<string>();
    for (const consumer of ["one", "two"]) {
      nt.on("both", { consumer, retry: { maxAttempts: 1 } }, async (_, { step }) => {
        await step.run("call", ({ idempotencyKey }) => void keys.add(idempotencyKey));
      });
    }
    nt.on("again", { retry: { maxAttempts: 1 } }, async (_, { step }) => {
      await step.run("call", () => {});
      await step.run("call", () => {});
    });
    nt.on("huge", { retry: { maxAttempts: 5, ...fast } }, (_, { step }) =>
      step.run("call", () => "x".repeat(1_100_000)),
    );
    await nt.send("both", {});
    await nt.send("again", {});
    await nt.send("huge", {});
    await nt.start();
    await settled();
    expect(keys.size).toBe(2);
    const errors = (await db.rows<{ error: string }>("select error from nevertwice.dead_letter"))
      .map((row) => row.error)
      .join();
    expect(errors).toContain("NT_STEP_TWICE");
    expect(errors).toContain("NT_STEP_RESULT");
  });
});

describe("send", () => {
  test("leaves only if the handler's transaction commits, and once, whatever is retried", async () => {
    const nt = db.open();
    const received: number[] = [];
    nt.on("order", { retry: fast }, async ({ i }: { i: number }, { send, tx, attempt }) => {
      await tx.query("insert into effect (name, n) values ('order', $1)", [i]);
      await Promise.all([
        send("placed", { i }),
        send("placed", { i }),
        send("placed", { i, other: true }, { key: "mine" }),
      ]);
      if (i % 2 === 0 && attempt === 1) throw new Error("once");
      if (i === 3) throw new TerminalError("never");
    });
    nt.on("placed", ({ i }: { i: number }) => void received.push(i));
    await nt.sendMany(Array.from({ length: 6 }, (_, i) => ({ topic: "order", payload: { i } })));
    await nt.start();
    await settled();
    // Equal content twice is two messages: the ordinal among equals tells them apart.
    const times = (i: number) => received.filter((one) => one === i).length;
    expect([0, 1, 2, 3, 4, 5].map(times)).toEqual([3, 3, 3, 0, 3, 3]);
  });

  test("outside handlers: a key is absorbed, a delay is kept, a payload is what JSON holds", async () => {
    // No poll ends: what is delayed runs because its time has come.
    const nt = db.open({ clock: heldClock().clock });
    nt.on("outside", () => {});
    const first = await nt.send("outside", { a: 1 }, { key: "k" });
    expect(await nt.send("outside", { a: 1 }, { key: "k" })).toEqual({ id: first.id, kind: "duplicate" });
    expect(await nt.send("outside", { a: 2 }, { key: "k" })).toEqual({ id: first.id, kind: "conflict" });
    const many = await nt.sendMany([
      { topic: "outside", payload: 1, key: "k" },
      { topic: "outside", payload: 2 },
    ]);
    expect(many.map((one) => one.kind)).toEqual(["conflict", "accepted"]);
    await expect(nt.send("outside", 10n)).rejects.toThrow("NT_PAYLOAD");
    await expect(nt.send("outside", undefined)).rejects.toThrow("NT_PAYLOAD");
    await expect(nt.send("", {})).rejects.toThrow("NT_OPTION");
    await expect(nt.send("outside", {}, { delayMs: -1 })).rejects.toThrow("NT_OPTION");
    await expect(nt.send("outside", {}, { dealyMs: 1 } as never)).rejects.toThrow("Did you mean `delayMs`?");
    await nt.start();
    const delayed = await nt.send("outside", {}, { delayMs: 700 });
    await settled();
    const [row] = await db.rows<{ waited: number }>(
      `select extract(epoch from a.started_at - m.received_at)::float8 * 1000 as waited
       from nevertwice.attempt a join nevertwice.message m on m.id = a.message_id where m.id = $1`,
      [delayed.id],
    );
    expect(row?.waited).toBeGreaterThan(690);
  });

  test("work that another process sends starts at once, not at the next poll", async () => {
    const { clock, waits } = heldClock();
    const worker = db.open({ clock });
    let ran = 0;
    worker.on("quick", () => void ran++);
    await worker.start();
    const sender = db.open();
    await sender.ready();
    // While something is to be settled 2 s, a fifth of the lease; else 5 s, and longer.
    const sleeps = () => waits.some((ms) => ms === 2_000 || (ms >= 5_000 && ms < 60_000));
    for (let i = 1; i <= 10; i++) {
      await until("it sleeps until a poll that never comes", sleeps);
      waits.length = 0;
      await sender.send("quick", {});
      await until("it ran", () => ran === i);
    }
  });
});
