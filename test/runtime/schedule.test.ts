// Schedules from end to end, on a database whose clock the test sets: one message a slot, whoever is there and whatever their
// clocks say; what becomes of slots for which nobody was there.
import { type ChildProcess, fork } from "node:child_process";
import { describe, expect, test } from "vitest";
import type { Nevertwice, NevertwiceOptions, StandardSchema } from "../../src/index.ts";
import type { Clock } from "../../src/core/ports/clock.ts";
import type { Store } from "../../src/core/ports/store.ts";
import type { Schedules } from "../../src/runtime/schedules.ts";
import { systemClock } from "../../src/runtime/system.ts";
import { until } from "../support/database.ts";
import { testDatabase } from "../support/instance.ts";
import { keepingLogger } from "../support/logger.ts";
import { settableClock } from "../support/settable-clock.ts";

const db = testDatabase();
const dbClock = settableClock(db);
const DAY_MS = 86_400_000;
let count = 0;
const fresh = (): string => `s${++count}`;

interface Sent {
  readonly key: string;
  readonly input: any;
  readonly headers: Record<string, string>;
}
/** What was sent for a schedule, by slot. */
async function sent(name: string): Promise<Sent[]> {
  const rows = await db.rows<{ key: string; body: Buffer; headers: Record<string, string> }>(
    "select key, body, headers from nevertwice.message where topic = $1 order by key",
    [name],
  );
  return rows.map(({ key, body, headers }) => ({ key, headers, input: JSON.parse(body.toString()) }));
}
/** The local times of the slots that were sent, as `10:30`. */
const times = async (name: string): Promise<string[]> =>
  (await sent(name)).map(({ key }) => /T(\d\d:\d\d)/.exec(key)?.[1] ?? key);
const decidedTo = async (name: string): Promise<number> =>
  (
    await db.rows<{ at: Date }>("select decided_to as at from nevertwice.schedule where name = $1", [name])
  )[0]?.at.getTime() ?? 0;

/** How many were due at each look from now on. */
function counted({ schedules }: Store): readonly number[] {
  const looks: number[] = [];
  const look = schedules.look.bind(schedules);
  schedules.look = async (options) => {
    const looked = await look(options);
    looks.push(looked.due.length);
    return looked;
  };
  return looks;
}

/** Held are the polls, and housekeeping, which would look once a minute or so. */
const unhurried: Clock = {
  ...systemClock,
  after: (ms, run) => (ms >= 1_000 && ms < 3_500_000 ? () => {} : systemClock.after(ms, run)),
};

/** What the loop and housekeeping see. */
const inner = (nt: Nevertwice): Schedules => nt.schedules as Schedules;

/** A process that works, on a database whose clock stands there. */
async function working(
  at: string,
  declare: (nt: Nevertwice) => void = () => {},
  options: Partial<NevertwiceOptions> = {},
): Promise<Nevertwice> {
  const nt = db.open(options);
  declare(nt);
  await nt.ready();
  await dbClock.set(at);
  await nt.start();
  return nt;
}
/** Sets the clock, and has the process look. */
async function passTo(nt: Nevertwice, at: string): Promise<void> {
  await dbClock.set(at);
  inner(nt).wake();
}
const HOURLY = { cron: "0 * * * *", zone: "UTC" } as const;

/** Each second once, and none in between left out. */
function expectEachSecond(slots: readonly Sent[]): void {
  const seconds = slots.map(({ key }) => Date.parse(key.slice(key.indexOf("/") + 1)) / 1_000);
  expect(seconds).toEqual(seconds.map((_, i) => (seconds[0] ?? 0) + i));
}

describe("one message a slot", () => {
  // Two in some nights (timgit/pg-boss#480, #592), two or three for a week (hexpm/hexpm#1825), with several processes and drift.
  test("of ten processes whose clocks are off by up to a day", async () => {
    const name = fresh();
    const nts = Array.from({ length: 10 }, (_, i) => {
      const clock: Clock = { ...systemClock, now: () => Date.now() + ((i - 4.5) / 4.5) * DAY_MS };
      // Each would say something else: a second one under the same key would be kept, as a conflict.
      return db.open({ clock }).schedule(name, { cron: "* * * * * *", zone: "America/New_York", input: () => i });
    });
    await Promise.all(nts.map((nt) => nt.start()));
    await until("eight slots", async () => (await sent(name)).length >= 8);
    await Promise.all(nts.map((nt) => nt.stop()));
    const slots = await sent(name);
    expectEachSecond(slots);
    // It is the row that decided, each time: nothing was offered twice.
    expect(
      await db.rows(
        "select from nevertwice.duplicate d join nevertwice.message m on m.id = d.message_id where m.topic = $1",
        [name],
      ),
    ).toEqual([]);
  });

  test("of processes that are killed before and after they have written, and others that go on", async () => {
    const nt = db.open();
    await nt.ready();
    const name = fresh();
    const began = (TEST_KILL: string, aheadMs: number): ChildProcess =>
      fork(new URL("../support/scheduling-process.ts", import.meta.url), {
        env: { ...process.env, TEST_URL: db.url, TEST_NAME: name, TEST_KILL, TEST_AHEAD_MS: String(aheadMs) },
        stdio: "inherit",
      });
    const [before, after] = [began("before", DAY_MS), began("after", -DAY_MS)];
    const signals: unknown[] = [];
    for (const child of [before, after]) child.once("exit", (_, signal) => signals.push(signal));
    await until("both have killed themselves", () => signals.length === 2, 60_000);
    const other = began("", 0);
    const length = (await sent(name)).length;
    await until("the other goes on", async () => (await sent(name)).length >= length + 3, 60_000);
    const slots = (await sent(name)).length;
    const effects = () =>
      db.rows<{ name: string }>("select name from effect where name like $1 order by name", [`${name}/%`]);
    await until("all have taken effect", async () => (await effects()).length >= slots, 60_000);
    other.kill("SIGKILL");
    expect(signals).toEqual(["SIGKILL", "SIGKILL"]);
    expectEachSecond(await sent(name));
    const ran = (await effects()).map((one) => one.name);
    expect(ran).toEqual([...new Set(ran)]);
  });

  test("holds its slot, its input, and says so in its headers", async () => {
    const [made, plain] = [fresh(), fresh()];
    const schedule = { cron: "30 2 * * *", zone: "Europe/Berlin" } as const;
    const nt = await working("2026-10-24T12:00:00Z", (one) => {
      one.schedule(made, { ...schedule, input: (slot: { localDate: string }) => ({ day: slot.localDate }) });
      one.schedule(plain, schedule);
    });
    await nt.schedules.set(`${plain}-set`, { ...schedule, topic: `${plain}-topic`, input: { a: [1, "\0"] } });
    await passTo(nt, "2026-10-25T00:30:01Z");
    await until(
      "all three",
      async () => (await sent(`${plain}-topic`)).length + (await sent(made)).length + (await sent(plain)).length === 3,
    );
    const headers = { slot: "2026-10-25T00:30:00Z", "slot-local": "2026-10-25T02:30:00+02:00[Europe/Berlin]" };
    expect(await sent(made)).toEqual([
      { key: `${made}/2026-10-25T00:30:00Z`, input: { day: "2026-10-25" }, headers: { schedule: made, ...headers } },
    ]);
    expect((await sent(plain))[0]?.input).toMatchObject({ schedule: plain, localTime: "02:30:00", doubled: "first" });
    expect(await sent(`${plain}-topic`)).toMatchObject([
      { key: `${plain}-set/2026-10-25T00:30:00Z`, input: { a: [1, "\0"] } },
    ]);
    // The hour comes a second time, and the night is done.
    await passTo(nt, "2026-10-25T01:30:01Z");
    await passTo(nt, "2026-10-25T23:00:00Z");
    expect(await sent(made)).toHaveLength(1);
  });

  test("is due later by its jitter, the same for whoever sends it, and has the same key", async () => {
    const name = fresh();
    const nt = await working("2026-11-25T10:30:00Z", (one) => {
      one.schedule(name, { ...HOURLY, jitterMs: 600_000 }).on(name, () => {});
    });
    await passTo(nt, "2026-11-25T11:00:01Z");
    await until("it is sent", async () => (await sent(name)).length === 1);
    const [row] = await db.rows<{ due: Date }>(
      "select d.due_at as due from nevertwice.delivery d join nevertwice.message m on m.id = d.message_id where m.topic = $1",
      [name],
    );
    const { jitter } = await import("../../src/core/schedule.ts");
    const expected = Date.parse("2026-11-25T11:00:00Z") + jitter(name, "2026-11-25T11:00:00Z", 600_000);
    expect(Math.abs((row?.due.getTime() ?? 0) - expected)).toBeLessThan(3_000);
  });
});

describe("more schedules than one look holds", () => {
  test("are all taken care of", async () => {
    const name = fresh();
    const nt = db.open({ clock: unhurried });
    const looks = counted(await nt.ready());
    await dbClock.set("2026-11-25T10:59:00Z");
    await nt.start();
    await until("it sleeps", () => looks.length > 0);
    await db.pool.query(
      `insert into nevertwice.schedule
         (name, origin, topic, cron, zone, missed, jitter_ms, definition, decided_to, next_at, declared_at)
       select $1 || '-' || i, 'api', $1, '0 * * * *', 'UTC', 'once', 0, 'd', c.now, c.now, c.now
       from generate_series(1, 130) i, (select nevertwice.clock() as now) c`,
      [name],
    );
    await passTo(nt, "2026-11-25T11:00:01Z");
    await until("all are sent", async () => (await sent(name)).length === 130, 60_000);
    await db.pool.query("delete from nevertwice.schedule");
  });
});

describe("slots for which nobody was there", () => {
  test("of a schedule that begins are none of its: there is no backfill", async () => {
    const name = fresh();
    const nt = await working("2026-11-25T10:00:01Z", (one) => one.schedule(name, { ...HOURLY, missed: "all" }));
    await passTo(nt, "2026-11-25T11:00:01Z");
    await until("the first", async () => (await sent(name)).length > 0);
    expect(await times(name)).toEqual(["11:00"]);
  });

  test("after a silence: skip none, once the latest, all each", async () => {
    const [skip, once, all] = [fresh(), fresh(), fresh()];
    const names = { skip, once, all };
    const declare = (one: Nevertwice): void => {
      for (const missed of ["skip", "once", "all"] as const) one.schedule(names[missed], { ...HOURLY, missed });
    };
    const first = await working("2026-11-25T10:30:00Z", declare);
    await first.stop();
    const logger = keepingLogger();
    const nt = await working("2026-11-25T14:30:00Z", declare, { logger });
    await until(
      "they are decided",
      async () =>
        (await decidedTo(skip)) > Date.parse("2026-11-25T14:00:00Z") &&
        (await sent(all)).length > 0 &&
        (await sent(once)).length > 0,
    );
    const left = logger.lines
      .filter(({ event }) => event === "slots were missed and left out")
      .map(({ fields }) => fields);
    expect(left).toHaveLength(2);
    expect(left).toContainEqual({ schedule: skip, missed: "skip", taken: 0, leftOut: 4 });
    expect(left).toContainEqual({ schedule: once, missed: "once", taken: 1, leftOut: 3 });
    // Within five minutes nothing is missed: a deploy is no silence.
    await nt.stop();
    await working("2026-11-25T15:04:00Z", declare);
    await until("in time", async () => (await sent(skip)).length > 0);
    await until("in time", async () => (await sent(all)).length === 5 && (await sent(once)).length === 2);
    expect(await times(skip)).toEqual(["15:00"]);
    expect(await times(once)).toEqual(["14:00", "15:00"]);
    expect(await times(all)).toEqual(["11:00", "12:00", "13:00", "14:00", "15:00"]);
  });

  test("because it was paused are made up for in the same way, when it is resumed", async () => {
    const [skip, once, all] = [fresh(), fresh(), fresh()];
    const names = { skip, once, all };
    const nt = await working("2026-11-25T10:30:00Z");
    for (const missed of ["skip", "once", "all"] as const) {
      await nt.schedules.set(names[missed], { ...HOURLY, missed });
      await nt.schedules.pause(names[missed]);
    }
    await passTo(nt, "2026-11-25T13:30:00Z");
    const probe = fresh();
    await nt.schedules.set(probe, { cron: "* * * * * *", zone: "UTC" });
    await until("it has looked", async () => (await sent(probe)).length > 0);
    await nt.schedules.remove(probe);
    for (const name of Object.values(names)) expect(await sent(name)).toEqual([]);
    for (const name of Object.values(names)) await nt.schedules.resume(name);
    await until(
      "they are decided",
      async () =>
        (await decidedTo(skip)) > Date.parse("2026-11-25T13:00:00Z") &&
        (await sent(all)).length > 0 &&
        (await sent(once)).length > 0,
    );
    expect([await times(skip), await times(once), await times(all)]).toEqual([
      [],
      ["13:00"],
      ["11:00", "12:00", "13:00"],
    ]);
  });

  // The clock of the database's machine was wrong for an hour: everything a day early, and then nothing for a day.
  test("because the database's clock was ahead for a while: none comes twice, and none is lost", async () => {
    const name = fresh();
    const logger = keepingLogger();
    const nt = await working("2026-11-25T10:30:00Z", (one) => one.schedule(name, { ...HOURLY, missed: "once" }), {
      logger,
    });
    await passTo(nt, "2026-11-25T11:00:01Z");
    await until("the first", async () => (await sent(name)).length === 1);
    await passTo(nt, "2026-11-26T11:10:00Z");
    await until("a day ahead", async () => (await sent(name)).length === 2);
    // Back, and it is noticed a little later: nobody knows that the slot of eleven was sent but its key.
    await passTo(nt, "2026-11-25T11:04:00Z");
    await until("it goes on from here", async () => (await decidedTo(name)) < Date.parse("2026-11-25T12:00:00Z"));
    expect(logger.lines.map(({ event }) => event)).toContain("the database's clock was set back");
    for (const hour of [12, 13]) {
      await passTo(nt, `2026-11-25T${hour}:00:01Z`);
      await until(`slot of ${hour}`, async () => (await times(name)).includes(`${hour}:00`));
    }
    // The day after, the slot that came early is refused by its key.
    await passTo(nt, "2026-11-26T11:00:01Z");
    await until("it is decided", async () => (await decidedTo(name)) >= Date.parse("2026-11-26T11:00:00Z"));
    expect((await sent(name)).map(({ key }) => key.slice(key.indexOf("/") + 1))).toEqual([
      "2026-11-25T11:00:00Z",
      "2026-11-25T12:00:00Z",
      "2026-11-25T13:00:00Z",
      "2026-11-26T11:00:00Z",
    ]);
  });
});

describe("a deploy that changes an expression", () => {
  test("is followed at once, and what the old process still declares changes nothing", async () => {
    const name = fresh();
    const logger = keepingLogger();
    const old = await working("2026-11-25T10:30:00Z", (one) => one.schedule(name, HOURLY), { logger });
    const newer = db.open().schedule(name, { ...HOURLY, cron: "15 * * * *", missed: "all" });
    await newer.start();
    const round = async (): Promise<void> => inner(old).round(await old.ready());
    await round();
    await round();
    expect(logger.lines.filter(({ event }) => event.startsWith("a newer deploy"))).toHaveLength(1);
    await dbClock.set("2026-11-25T11:15:01Z");
    for (const nt of [old, newer]) inner(nt).wake();
    await until("the new one's slot", async () => (await sent(name)).length > 0);
    await round();
    expect(await times(name)).toEqual(["11:15"]);
    // Rolled back: the old process goes on where the new one left off, and only then.
    await newer.stop();
    await passTo(old, "2026-11-25T11:20:00Z");
    await round();
    await passTo(old, "2026-11-25T12:00:01Z");
    await until("the old one's slot", async () => (await sent(name)).length === 2);
    expect(await times(name)).toEqual(["11:15", "12:00"]);
  });
});

describe("at run time", () => {
  test("a schedule that is set is taken care of by a process that was told by a hint alone, and listed", async () => {
    const name = fresh();
    await working("2026-11-25T10:30:00Z", () => {}, { clock: unhurried });
    const elsewhere = db.open();
    await elsewhere.schedules.set(name, { cron: "* * * * * *", zone: "Asia/Kathmandu" });
    await until("it is sent", async () => (await sent(name)).length > 0);
    await elsewhere.schedules.pause(name);
    const listed = (await elsewhere.schedules.list()).find((one) => one.name === name);
    expect(listed).toMatchObject({ topic: name, zone: "Asia/Kathmandu", missed: "once", origin: "api" });
    expect(listed?.pausedAt).toBeInstanceOf(Date);
    expect(listed?.lastSlot).toBeInstanceOf(Date);
    await elsewhere.schedules.remove(name);
    await expect(elsewhere.schedules.resume(name)).rejects.toThrow(/NT_NOT_FOUND/);
  });

  test("what is wrong is said when it is set, not when it is due", async () => {
    const nt = db.open();
    const refused = (options: object) => nt.schedules.set("wrong", { ...HOURLY, ...options });
    await expect(refused({ cron: "0 0 30 2 *" })).rejects.toThrow(/NT_CRON/);
    await expect(refused({ zone: undefined })).rejects.toThrow(/NT_ZONE/);
    await expect(refused({ input: () => 1 })).rejects.toThrow(/NT_PAYLOAD/);
    await expect(refused({ mised: "all" })).rejects.toThrow(/Did you mean `missed`\?/);
    expect(() => nt.schedule("two words", HOURLY)).toThrow(/NT_OPTION/);
    nt.schedule("twice", HOURLY);
    expect(() => nt.schedule("twice", HOURLY)).toThrow(/`twice` twice/);
  });
});

describe("one that cannot be decided", () => {
  test("holds up no other, says so, and is tried again", async () => {
    const [broken, fine] = [fresh(), fresh()];
    const logger = keepingLogger();
    let mended = false;
    const held: (() => void)[] = [];
    const clock: Clock = {
      ...systemClock,
      after: (ms, run) => (ms === 30_000 ? (held.push(run), () => {}) : systemClock.after(ms, run)),
      monotonic: () => systemClock.monotonic() + (mended ? 60_000 : 0),
    };
    const nt = await working(
      "2026-11-25T10:30:00Z",
      (one) => {
        one.schedule(broken, {
          ...HOURLY,
          input: () => {
            if (!mended) throw new Error("no input today");
            return "mended";
          },
        });
        one.schedule(fine, HOURLY);
      },
      { logger, clock },
    );
    await passTo(nt, "2026-11-25T11:00:01Z");
    await until("the other is sent", async () => (await sent(fine)).length === 1);
    await until("it is said", () =>
      logger.lines.some(
        ({ event, fields }) =>
          event.startsWith("schedule not decided") && "schedule" in fields && fields.schedule === broken,
      ),
    );
    expect(await sent(broken)).toEqual([]);
    mended = true;
    for (const run of held) run();
    await until("it is sent", async () => (await sent(broken)).length === 1);
    expect((await sent(broken))[0]?.input).toBe("mended");
  });

  // What takes longer to make than the minute for which a look counts would never be sent, without a word.
  test("because its input takes too long says so", async () => {
    const name = fresh();
    const logger = keepingLogger();
    let ahead = 0;
    const clock: Clock = { ...systemClock, monotonic: () => systemClock.monotonic() + ahead };
    const slow = { ...HOURLY, input: () => (ahead += 51_000) };
    const nt = await working("2026-11-25T10:30:00Z", (one) => one.schedule(name, slow), { logger, clock });
    await passTo(nt, "2026-11-25T11:00:01Z");
    const said = () => logger.lines.find(({ event }) => event.startsWith("schedule not decided"));
    await until("it is said", () => said() !== undefined);
    expect(said()?.fields).toMatchObject({ schedule: name, error: { code: "NT_TIMEOUT" } });
    expect(await sent(name)).toEqual([]);
  });
});

test("a process that does not stay up takes care of what is due when it is called, and runs it", async () => {
  const name = fresh();
  const nt = db.open().schedule(name, { ...HOURLY, missed: "all" });
  nt.on(name, { consumer: name }, async (_, { tx, message }) => {
    await tx.query("insert into effect (name) values ($1)", [message.key]);
  });
  await nt.ready();
  await dbClock.set("2026-11-25T10:30:00Z");
  await nt.runDue({ maxMs: 10_000 });
  expect(await sent(name)).toEqual([]);
  await dbClock.set("2026-11-25T12:00:01Z");
  await nt.runDue({ maxMs: 10_000 });
  expect(await times(name)).toEqual(["11:00", "12:00"]);
  expect(await db.rows("select from effect where name like $1", [`${name}/%`])).toHaveLength(2);
});

// A stalled-job checker kept a serverless database awake (taskforcesh/bullmq#4632). The database is looked at when housekeeping is
// there anyway.
test("a process with nothing to send until tomorrow looks once, and then when housekeeping does", async () => {
  const held = new Map<() => void, number>();
  const clock: Clock = {
    ...systemClock,
    after(ms, run) {
      if (ms < 1_000) return systemClock.after(ms, run);
      held.set(run, ms);
      return () => void held.delete(run);
    },
  };
  const nt = db.open({ clock });
  const store = await nt.ready();
  await db.pool.query("delete from nevertwice.schedule");
  const looks = counted(store);
  await dbClock.set("2026-11-25T10:30:00Z");
  nt.schedule(fresh(), { cron: "0 2 * * *", zone: "UTC" }).on("nothing", () => {});
  await nt.start();
  const asleep = (): Promise<void> => until("it sleeps until the next slot", () => held.size >= 3);
  await asleep();
  expect(looks).toEqual([1]);
  // All but its own sleep.
  for (const [run, ms] of held) {
    if (ms > 60_000) continue;
    held.delete(run);
    run();
  }
  await until("housekeeping came round", () => looks.length > 1);
  await asleep();
  expect(looks.length).toBeLessThanOrEqual(3);
  expect(looks.slice(1).every((due) => due === 0)).toBe(true);
});

describe("of a job, at run time", () => {
  const numbers: StandardSchema<{ n: number }, { n: number }> = {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value) =>
        typeof (value as { n?: unknown }).n === "number"
          ? { value: value as { n: number } }
          : { issues: [{ message: "expected a number", path: ["n"] }] },
    },
  };
  const everySecond = { cron: "* * * * * *", zone: "UTC" };
  const jobs = (name: string) =>
    db.rows<{ source: string; key: string }>("select source, key from nevertwice.message where topic = $1", [name]);

  test("its job runs, once a slot, with its input; set from a process that only knows its name", async () => {
    const name = fresh();
    const [nt, other] = [db.open(), db.open()];
    const got: number[] = [];
    nt.job(name, { input: numbers }, ({ n }) => void got.push(n));
    other.job(name, { input: numbers }, ({ n }) => void got.push(n));
    await Promise.all([nt.start(), other.start()]);
    await db.open().schedules.set(name, { ...everySecond, job: name, input: { n: 7 } });
    await until("three slots", () => got.length >= 3);
    await nt.schedules.pause(name);
    const sent = await jobs(name);
    expect(new Set(sent.map((one) => one.source))).toEqual(new Set(["job"]));
    expect(new Set(sent.map((one) => one.key)).size).toBe(sent.length);
    expect(got[0]).toBe(7);
    const [listed] = (await nt.schedules.list()).filter((one) => one.name === name);
    expect(listed).toMatchObject({ origin: "job", topic: name });
    await nt.schedules.remove(name);
  });

  test("what is wrong is said when it is set: the input, a job that nobody declares, a job and a topic", async () => {
    const name = fresh();
    const nt = db.open();
    const job = nt.job(name, { input: numbers });
    await nt.ready();
    const set = (options: object) => nt.schedules.set(name, { ...HOURLY, ...options });
    await expect(set({ job, input: { n: "x" } })).rejects.toThrow(/NT_JOB_INPUT.*n: expected a number/);
    await expect(set({ job: name, input: { n: "x" } })).rejects.toThrow(/NT_JOB_INPUT/);
    // The slot, which is the input by default, is none that this job takes.
    await expect(set({ job })).rejects.toThrow(/NT_JOB_INPUT/);
    await expect(set({ job: "nobody" })).rejects.toThrow(/NT_NOT_FOUND.*nobody/);
    await expect(set({ job, topic: "t", input: { n: 1 } })).rejects.toThrow(/NT_OPTION/);
    expect((await nt.schedules.list()).filter((one) => one.name === name)).toEqual([]);
    // @ts-expect-error the type of the input is the job's
    await expect(nt.schedules.set(name, { ...HOURLY, job, input: { n: "x" } })).rejects.toThrow(/NT_JOB_INPUT/);
  });

  test("is checked when it is sent, too: a schema that has become stricter refuses it, and no slot is lost", async () => {
    const name = fresh();
    const logger = keepingLogger();
    const before = db.open();
    before.job(name, {});
    await before.schedules.set(name, { ...everySecond, job: name, input: { n: "x" } });
    const nt = db.open({ logger });
    const got: number[] = [];
    nt.job(name, { input: numbers }, ({ n }) => void got.push(n));
    await nt.start();
    const refused = () =>
      logger.lines.some(({ fields }) => String((fields as { error?: unknown }).error).includes("NT_JOB_INPUT"));
    await until("it is refused", refused);
    expect(await jobs(name)).toEqual([]);
    await nt.schedules.set(name, { ...everySecond, job: name, input: { n: 1 } });
    await before.stop();
    const mended = db.open();
    mended.job(name, { input: numbers }, ({ n }) => void got.push(n));
    await mended.start();
    await until("it is sent", () => got.includes(1));
    await nt.schedules.remove(name);
  });

  test("is passed by by a process of the deploy before, which knows the API's own alone, and by one without the job", async () => {
    const name = fresh();
    const nt = db.open();
    nt.job(name, {});
    const store = await nt.ready();
    await nt.schedules.set(name, { ...HOURLY, topic: name });
    // What an older process read before it became a job's is not decided any more.
    const read = await store.schedules.look({ own: [], except: [], all: true });
    const one = read.due.find((due) => due.name === name);
    await nt.schedules.set(name, { ...HOURLY, job: name });
    const { turn = -1 } = one ?? {};
    const decided = { name, turn, readMs: read.nowMs, decidedMs: read.nowMs, nextMs: read.nowMs, lastMs: read.nowMs };
    expect(await store.schedules.decide(decided, [])).toBeUndefined();
    // The older one's statement has no jobs.
    for (const jobs of [undefined, ["another"]] as const) {
      const looked = await store.schedules.look({
        own: [],
        except: [],
        all: true,
        ...(jobs === undefined ? {} : { jobs }),
      });
      expect(looked.due.filter((due) => due.name === name)).toEqual([]);
    }
    const looked = await store.schedules.look({ own: [], except: [], all: true, jobs: [name] });
    expect(looked.due.map((due) => due.name)).toContain(name);
    // And back.
    await nt.schedules.set(name, { ...HOURLY, topic: name });
    expect((await nt.schedules.list()).find((listed) => listed.name === name)?.origin).toBe("api");
    await nt.schedules.remove(name);
  });
});
