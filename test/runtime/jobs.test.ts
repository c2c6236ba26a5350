// Background jobs on the engine: what users of other queues rely on, with never twice on top.
import { describe, expect, expectTypeOf, test } from "vitest";
import { isFault } from "../../src/core/errors.ts";
import { SnoozeError, type StandardSchema, TerminalError } from "../../src/index.ts";
import { until } from "../support/database.ts";
import { testDatabase } from "../support/instance.ts";

const db = testDatabase();

/** What zod, valibot and arktype have in common. */
const mail: StandardSchema<{ to: string; at?: string }, { to: string; at: Date }> = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate(value) {
      const { to, at } = value as { to?: unknown; at?: string };
      if (typeof to !== "string") return { issues: [{ message: "expected a string", path: ["to"] }] };
      return { value: { to, at: new Date(at ?? 0) } };
    },
  },
};

/** Handlers of this job stand still until they are let go. */
function gate(): { passed: Promise<void>; open: () => void } {
  let open = (): void => {};
  const passed = new Promise<void>((resolve) => (open = resolve));
  return { passed, open };
}

describe("a job", () => {
  test("runs once in effect, and its result is kept for whoever waits, in any process", async () => {
    const nt = db.open();
    const job = nt.job("mail", { input: mail }, async ({ to, at }, { tx }) => {
      await tx.query("insert into effect (name) values ($1)", [to]);
      return { to, year: at.getUTCFullYear() };
    });
    expectTypeOf(job.enqueue).parameter(0).toEqualTypeOf<{ to: string; at?: string }>();
    const one = await job.enqueue({ to: "a@example.org", at: "2026-11-25T00:00:00Z" }, { key: "welcome-a" });
    expect(one.kind).toBe("accepted");
    const again = await job.enqueue({ to: "a@example.org", at: "2026-11-25T00:00:00Z" }, { key: "welcome-a" });
    expect(again).toMatchObject({ kind: "duplicate", id: one.id });
    const other = await job.enqueue({ to: "b@example.org" }, { key: "welcome-a" });
    expect(other).toMatchObject({ kind: "conflict", id: one.id });
    await nt.start();
    // Enqueued here, awaited in an instance that only knows its name.
    const elsewhere = db.open();
    const result = await elsewhere.job<unknown, { to: string; year: number }>("mail", {}).of(one.id).result();
    expectTypeOf(result).toEqualTypeOf<{ to: string; year: number }>();
    expect(result).toEqual({ to: "a@example.org", year: 2026 });
    expect(await one.result()).toEqual(result);
    expect(await db.rows("select * from effect where name like '%@example.org'")).toHaveLength(1);
  });

  test("keys of different jobs never meet, and none meets a message's", async () => {
    const nt = db.open();
    const [one, two] = [nt.job("key-one", {}), nt.job("key-two", {})];
    const kinds = [
      (await one.enqueue(1, { key: "7" })).kind,
      (await two.enqueue(1, { key: "7" })).kind,
      (await nt.send("key-one", 1, { key: "7" })).kind,
      (await db.rows("select outcome from nevertwice.enqueue('key-one', '1', key => '7')"))[0]?.["outcome"],
    ];
    expect(kinds).toEqual(["accepted", "accepted", "accepted", "duplicate"]);
  });

  test("bad input fails where it is enqueued, with the path of the fault; nothing of the batch is enqueued", async () => {
    const nt = db.open();
    const job = nt.job("checked", { input: mail });
    const enqueued = job.enqueueMany([{ input: { to: "a" } }, { input: { to: 7 as never } }]);
    await expect(enqueued).rejects.toMatchObject({
      code: "NT_JOB_INPUT",
      got: expect.stringContaining("to: expected a string"),
    });
    expect(await db.rows("select from nevertwice.message where topic = 'checked'")).toEqual([]);
    for (const wrong of [
      { delayMs: -1 },
      { delayMs: 1, runAt: new Date() },
      { runAt: new Date(Number.NaN) },
      { priority: 3 },
      { unique: {} },
      { unique: { while: "running" } },
      { unique: { windowMs: 1, onConflict: "drop" } },
      { prioritty: 1 },
    ]) {
      await expect(job.enqueue({ to: "a" }, wrong as never)).rejects.toMatchObject({ code: "NT_OPTION" });
    }
  });

  test("has a name of its own, and is no pattern", () => {
    const nt = db.open();
    nt.job("taken", {});
    expect(() => nt.job("taken", {})).toThrow("NT_CONSUMER_TWICE");
    expect(() => nt.job("mail.*", {})).toThrow(/NT_OPTION.*without/);
    expect(() => nt.job("two words", {})).toThrow("NT_OPTION");
  });

  test("an input that a newer schema refuses is dead-lettered with the fault, not retried", async () => {
    const nt = db.open();
    const before = nt.job("stricter", {});
    const { id } = await before.enqueue({ to: 7 });
    const newer = db.open();
    const job = newer.job("stricter", { input: mail }, () => "sent");
    await newer.start();
    await expect(job.of(id).result()).rejects.toMatchObject({
      code: "NT_JOB_DEAD",
      got: expect.stringContaining("NT_JOB_INPUT"),
    });
    const attempts = await db.rows("select from nevertwice.attempt where message_id = $1", [id]);
    expect(attempts).toHaveLength(1);
  });

  test("what cannot be kept as its result fails the attempt, and its effects are rolled back", async () => {
    const nt = db.open();
    const job = nt.job("unkept", {}, async (_, { tx }) => {
      await tx.query("insert into effect (name) values ('unkept')");
      return 7n;
    });
    const one = await job.enqueue(1);
    await nt.start();
    await expect(one.result()).rejects.toMatchObject({ code: "NT_JOB_DEAD" });
    expect(await db.rows("select from effect where name = 'unkept'")).toEqual([]);
  });

  test("waits for its time: a delay, or a moment; a wait for the result ends after its own time", async () => {
    const nt = db.open();
    const started: string[] = [];
    const job = nt.job<string, void>("later", {}, (input) => void started.push(input));
    await nt.start();
    const began = Date.now();
    const soon = await job.enqueue("soon", { runAt: new Date(began + 700) });
    const late = await job.enqueue("late", { delayMs: 60_000 });
    const past = await job.enqueue("past", { runAt: new Date(0) });
    await past.result();
    expect(started).toEqual(["past"]);
    await soon.result();
    expect(Date.now() - began).toBeGreaterThanOrEqual(690);
    const waited = await late.result({ timeoutMs: 50 }).catch((error: unknown) => error);
    expect(isFault(waited, "NT_JOB_OUTSTANDING")).toBe(true);
    expect(started).toEqual(["past", "soon"]);
    expect(await late.cancel()).toBe("cancelled");
  });

  test("higher priorities first, whatever was enqueued before; first attempts before retries on each", async () => {
    const nt = db.open();
    const order: number[] = [];
    const job = nt.job<number, void>("ranked", { concurrency: 1 }, (n) => void order.push(n));
    for (const priority of [0, -2, 2, 1, -1, 2] as const) await job.enqueue(priority, { priority });
    await db.rows("update nevertwice.delivery set state = 'retrying' where priority = 1");
    await nt.start();
    await until("all ran", () => order.length === 6);
    expect(order).toEqual([2, 2, 1, 0, -1, -2]);
  });

  test("a busy level does not hide a lower one that is older, nor the other way round", async () => {
    const nt = db.open();
    const ran = new Map<number, number>();
    const job = nt.job<number, void>("levels", {}, (n) => void ran.set(n, (ran.get(n) ?? 0) + 1));
    await job.enqueueMany(Array.from({ length: 600 }, (_, i) => ({ input: 0, key: `low-${i}` })));
    await nt.start();
    await job.enqueueMany(
      Array.from({ length: 600 }, (_, i) => ({ input: 2, key: `high-${i}`, priority: 2 as const })),
    );
    await until("all ran", () => ran.get(0) === 600 && ran.get(2) === 600);
  });

  test("expires: not begun in time it is cancelled, with the reason, and never run", async () => {
    const nt = db.open();
    let ran = 0;
    const job = nt.job("fresh", {}, () => void ran++);
    const stale = await job.enqueue(1, { expireAfterMs: 20 });
    const fresh = await job.enqueue(2, { expireAfterMs: 60_000 });
    await new Promise((resolve) => setTimeout(resolve, 60));
    await nt.start();
    await fresh.result();
    await expect(stale.result()).rejects.toMatchObject({
      code: "NT_JOB_CANCELLED",
      got: expect.stringContaining("expired"),
    });
    expect(ran).toBe(1);
  });

  test("snoozes as often as it likes: no attempt is used up, and its effects are rolled back each time", async () => {
    const nt = db.open();
    let runs = 0;
    const job = nt.job("sleepy", { retry: { maxAttempts: 1 } }, async (_, { tx, attempt }) => {
      await tx.query("insert into effect (name, n) values ('sleepy', $1)", [attempt]);
      if (++runs < 4) throw new SnoozeError("not yet", { afterMs: 30 });
    });
    const one = await job.enqueue(1, { expireAfterMs: 20_000 });
    await nt.start();
    await until("it sleeps", () => runs > 0);
    await one.result();
    expect(runs).toBe(4);
    expect(await db.rows("select n from effect where name = 'sleepy'")).toEqual([{ n: 1 }]);
    const attempts = await db.rows("select outcome from nevertwice.attempt where message_id = $1 order by ended_at", [
      one.id,
    ]);
    // A sleep for the same reason is recorded once.
    expect(attempts.map((row) => row["outcome"])).toEqual(["interrupted", "completed"]);
  });

  test("one that began in time does not expire while it waits for its next attempt", async () => {
    const nt = db.open();
    let first = true;
    const job = nt.job("begun", {}, () => {
      if (!first) return "done";
      first = false;
      throw new SnoozeError("later", { afterMs: 1_500 });
    });
    await nt.start();
    expect(await (await job.enqueue(1, { expireAfterMs: 1_000 })).result()).toBe("done");
  });

  test("tells how far it is, and what it has to say; a zombie tells nothing", async () => {
    const nt = db.open();
    const job = nt.job("talkative", {}, async (_, { progress, deliveryId }) => {
      for (let i = 0; i <= 10; i++) await progress(i / 10);
      await progress(0.5, "half of it");
      await db.rows("update nevertwice.delivery set claim = claim + 1 where id = $1", [deliveryId]);
      await progress(1, "too late");
    });
    const { id } = await job.enqueue(1);
    await nt.start();
    await until("superseded", async () => {
      const rows = await db.rows("select from nevertwice.attempt where message_id = $1", [id]);
      return rows.length > 0;
    });
    const notes = await db.rows("select progress, line from nevertwice.note where message_id = $1 order by noted_at", [
      id,
    ]);
    expect(notes.slice(0, 2)).toEqual([
      { progress: 0, line: null },
      { progress: 0.5, line: "half of it" },
    ]);
    expect(notes.filter((note) => note["line"] === "too late")).toEqual([]);
  });
});

describe("a job is enqueued with others' work", () => {
  test("in a handler, with its `tx`: it leaves only if the delivery completes, once, however often that runs", async () => {
    const nt = db.open();
    const got: number[] = [];
    const child = nt.job<number, void>("child", {}, (n) => void got.push(n));
    let tries = 0;
    const parent = nt.job("parent", { retry: { baseMs: 1, maxMs: 1 } }, async (_, { tx }) => {
      await child.enqueue(1, { tx });
      await child.enqueue(1, { tx });
      await child.enqueue(2, { tx, key: "two" });
      if (++tries < 3) throw new Error("again");
    });
    await child.enqueue(2, { key: "two" });
    const one = await parent.enqueue(null);
    await nt.start();
    await one.result();
    await until("all ran", () => got.length >= 3);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(got.toSorted()).toEqual([1, 1, 2]);
  });

  test("in a transaction of one's own: a rollback enqueues nothing", async () => {
    const nt = db.open();
    const job = nt.job("outboxed", {});
    const client = await db.pool.connect();
    await nt.ready();
    const unique = { while: "outstanding" } as const;
    for (const end of ["rollback", "commit"]) {
      await client.query("begin");
      const kinds = await job.enqueueMany(
        [
          { input: 1, key: "a", priority: 2, expireAfterMs: 60_000, runAt: new Date(Date.now() + 60_000) },
          { input: 2, unique },
          { input: 2, unique },
        ],
        { tx: client },
      );
      expect(kinds.map((one) => one.kind)).toEqual(["accepted", "accepted", "ignored"]);
      await client.query(end);
    }
    client.release();
    const rows = await db.rows(
      `select d.priority, d.due_at > now() + interval '50 s' as later, d.expires_at - d.due_at as spare
       from nevertwice.delivery d join nevertwice.consumer c on c.id = d.consumer_id
       where c.name = 'outboxed' order by d.priority`,
    );
    expect(rows).toMatchObject([
      { priority: 0, later: false, spare: null },
      { priority: 2, later: true },
    ]);
    expect(rows[1]?.["spare"]).toMatchObject({ minutes: 1 });
  });

  test("from SQL, by its name; one that nobody declares is an error", async () => {
    const nt = db.open();
    const job = nt.job<{ n: number }, number>("from-sql", {}, ({ n }) => n + 1);
    await nt.start();
    const [row] = await db.rows("select id, outcome from nevertwice.enqueue('from-sql', '{\"n\": 1}', priority => 1)");
    expect(row?.["outcome"]).toBe("accepted");
    expect(await job.of(row?.["id"]).result()).toBe(2);
    await expect(db.rows("select nevertwice.enqueue('nobody', '1')")).rejects.toThrow(/NT_OPTION.*declared/);
    await expect(db.rows("select nevertwice.enqueue('from-sql', '1', priority => 9)")).rejects.toThrow(/NT_OPTION/);
  });
});

describe("unique while another one is there", () => {
  test("ignored, rescheduled or replaced while it waits; the answer says which", async () => {
    const nt = db.open();
    const job = nt.job<number, number>("solo", {}, (n) => n);
    const wait = { delayMs: 60_000, key: "k" } as const;
    const one = await job.enqueue(1, { ...wait, unique: { while: "waiting" } });
    expect(one.kind).toBe("accepted");
    expect(await job.enqueue(2, { ...wait, unique: { while: "waiting" } })).toMatchObject({
      kind: "ignored",
      id: one.id,
    });
    expect(await job.enqueue(2, { key: "other", delayMs: 60_000, unique: { while: "waiting" } })).toMatchObject({
      kind: "accepted",
    });
    const moved = await job.enqueue(3, {
      key: "k",
      unique: { while: "waiting", onConflict: "reschedule" },
      delayMs: 1,
    });
    expect(moved).toMatchObject({ kind: "rescheduled", id: one.id });
    const three = await job.enqueue(3, { ...wait, unique: { while: "waiting", onConflict: "replace" } });
    expect(three.kind).toBe("replaced");
    expect(three.id).not.toBe(one.id);
    await expect(one.result()).rejects.toMatchObject({
      code: "NT_JOB_CANCELLED",
      got: expect.stringContaining(`replaced by ${three.id}`),
    });
    const last = await job.enqueue(4, { key: "k", unique: { while: "waiting", onConflict: "replace" } });
    await nt.start();
    expect(await last.result()).toBe(4);
    // It has ended: the key is free, without anybody having freed it.
    expect((await job.enqueue(5, { key: "k", unique: { while: "outstanding" } })).kind).toBe("accepted");
  });

  test("whatever the answer is, it is durable: a new time too, which no message follows", async () => {
    const nt = db.open();
    const job = nt.job("durable", {});
    const unique = { while: "waiting", onConflict: "reschedule" } as const;
    await job.enqueue(1, { key: "k", delayMs: 60_000, unique });
    const client = await db.pool.connect();
    await client.query("begin; set local synchronous_commit = off");
    expect((await job.enqueue(1, { key: "k", delayMs: 90_000, unique, tx: client })).kind).toBe("rescheduled");
    expect((await client.query("show synchronous_commit")).rows).toEqual([{ synchronous_commit: "on" }]);
    await client.query("commit");
    client.release();
  });

  test("one that runs is left as it is: held where it counts, free where only waiting ones do", async () => {
    const nt = db.open();
    const { passed, open } = gate();
    let running = 0;
    const job = nt.job<number, number>("runs", {}, async (n) => {
      running++;
      await passed;
      return n;
    });
    await nt.start();
    const one = await job.enqueue(1, { key: "k", unique: { while: "outstanding" } });
    await until("it runs", () => running === 1);
    for (const onConflict of ["ignore", "replace", "reschedule"] as const) {
      const held = await job.enqueue(2, { key: "k", unique: { while: "outstanding", onConflict } });
      expect(held).toMatchObject({ kind: "ignored", id: one.id });
    }
    const next = await job.enqueue(2, { key: "k", unique: { while: "waiting" } });
    expect(next.kind).toBe("accepted");
    open();
    expect(await Promise.all([one.result(), next.result()])).toEqual([1, 2]);
  });

  test("for a window: whatever became of the first, until it is over", async () => {
    const nt = db.open();
    const job = nt.job<number, number>("window", {}, (n) => n);
    await nt.start();
    const unique = { windowMs: 1_500 };
    const one = await job.enqueue(1, { unique });
    await one.result();
    // Without a key the input itself is one.
    expect(await job.enqueue(1, { unique })).toMatchObject({ kind: "ignored", id: one.id });
    expect((await job.enqueue(2, { unique })).kind).toBe("accepted");
    await db.rows("update nevertwice.unique_job set held_until = now() where message_id = $1", [one.id]);
    expect((await job.enqueue(1, { unique })).kind).toBe("accepted");
  });

  test("fifty at the same moment, from two processes and over SQL: one", async () => {
    const [nt, other] = [db.open(), db.open()];
    const jobs = [nt.job("rush", {}), other.job("rush", {})];
    await Promise.all([nt.ready(), other.ready()]);
    const all = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        (jobs[i % 2] as (typeof jobs)[number]).enqueue(i, { key: "k", unique: { while: "outstanding" } }),
      ),
    );
    expect(all.filter((one) => one.kind === "accepted")).toHaveLength(1);
    expect(new Set(all.map((one) => one.id)).size).toBe(1);
  });
});

describe("a job is ended by hand", () => {
  test("waiting: it never runs. Completed or dead: it stays what it is", async () => {
    const nt = db.open();
    const job = nt.job<number, void>("ended", {}, (n) => {
      if (n > 1) throw new TerminalError("no");
    });
    const waiting = await job.enqueue(0, { delayMs: 60_000 });
    expect(await waiting.cancel("changed our mind")).toBe("cancelled");
    await nt.start();
    const [one, dead] = [await job.enqueue(1), await job.enqueue(2)];
    await one.result();
    await dead.result().catch(() => {});
    expect(await one.cancel()).toBe("completed");
    expect(await dead.cancel()).toBe("dead");
    expect(await nt.cancel("01900000-0000-7000-8000-000000000000")).toBe("unknown");
    await expect(waiting.result()).rejects.toThrow(/changed our mind/);
  });

  test("running in another process: its signal is aborted at once, and nothing it wrote takes effect", async () => {
    const [nt, other] = [db.open({ leaseMs: 30_000 }), db.open({ leaseMs: 30_000 })];
    let aborted = false;
    let running = false;
    other.job("long", {}, async (_, { tx, signal }) => {
      await tx.query("insert into effect (name) values ('long')");
      running = true;
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      aborted = true;
    });
    await other.start();
    const one = await nt.job("long", {}).enqueue(1);
    await until("it runs", () => running);
    expect(await one.cancel()).toBe("cancelled");
    await until("it is told", () => aborted);
    await expect(one.result()).rejects.toMatchObject({ code: "NT_JOB_CANCELLED" });
    await other.stop({ deadlineMs: 1_000 });
    expect(await db.rows("select from effect where name = 'long'")).toEqual([]);
    const outcomes = await db.rows("select outcome from nevertwice.attempt where message_id = $1 order by ended_at", [
      one.id,
    ]);
    expect(outcomes.map((row) => row["outcome"])).toEqual(["cancelled", "superseded"]);
  });

  test("a paused job keeps what it has, in all processes, and goes on when it is resumed", async () => {
    const nt = db.open();
    const other = db.open();
    let ran = 0;
    const job = nt.job("held", {}, () => void ran++);
    other.job("held", {}, () => void ran++);
    await Promise.all([nt.start(), other.start()]);
    await nt.pause("held");
    const one = await job.enqueue(1);
    await expect(one.result({ timeoutMs: 500 })).rejects.toMatchObject({ code: "NT_JOB_OUTSTANDING" });
    expect(ran).toBe(0);
    await other.resume("held");
    await one.result();
    expect(ran).toBe(1);
    await expect(nt.pause("nobody")).rejects.toMatchObject({ code: "NT_NOT_FOUND" });
  });
});

describe("a job with a schedule", () => {
  test("is enqueued once a slot, however many processes declare it, with what is made of the slot, checked", async () => {
    const ran: string[] = [];
    const open = () => {
      const nt = db.open();
      nt.job<{ to: string }, void>(
        "every-second",
        {
          input: mail,
          schedule: { cron: "* * * * * *", zone: "Europe/Berlin", input: (slot) => ({ to: slot.at }) },
        },
        ({ to }) => void ran.push(to),
      );
      return nt;
    };
    const [one, two] = [open(), open()];
    await Promise.all([one.start(), two.start()]);
    await until("three slots", () => ran.length >= 3);
    expect(new Set(ran).size).toBe(ran.length);
    const keys = await db.rows("select key from nevertwice.message where topic = 'every-second' and source = 'job'");
    expect(new Set(keys.map((row) => row["key"])).size).toBe(keys.length);
    expect(keys[0]?.["key"]).toMatch(/^every-second\//);
  });

  test("runDue enqueues what is due, and runs it", async () => {
    const nt = db.open();
    let ran = 0;
    nt.job("by-cron", { schedule: { cron: "* * * * * *", zone: "UTC" } }, () => void ran++);
    await nt.runDue({ maxMs: 20_000 });
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await nt.runDue({ maxMs: 20_000 });
    expect(ran).toBeGreaterThan(0);
  });
});
