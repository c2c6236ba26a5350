// Every change of the clocks of 2026 and 2027 in fifteen zones, against what Intl says local time is, minute by minute: an
// oracle that knows nothing of cron. Zones that change by half an hour (Lord Howe), at a quarter to three (Chatham), by two
// hours (Troll), at midnight (Santiago, Cairo), for Ramadan (Casablanca), and some that do not change.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { moments, slot, times } from "../../src/core/schedule.ts";
import { cron } from "../../src/runtime/cron.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const FROM = Date.parse("2026-01-01T00:00:00Z");
const TO = Date.parse("2028-01-01T00:00:00Z");
const CHANGING = [
  "Europe/Berlin",
  "Europe/London",
  "America/New_York",
  "America/St_Johns",
  "America/Santiago",
  "Australia/Lord_Howe",
  "Pacific/Chatham",
  "Africa/Casablanca",
  "Africa/Cairo",
  "Asia/Jerusalem",
  "Antarctica/Troll",
] as const;
const STEADY = ["America/Sao_Paulo", "Asia/Tehran", "Asia/Kathmandu", "UTC"] as const;

/** Minutes of local time since the epoch, as Intl tells them. */
function localMinutes(zone: string): (ms: number) => number {
  const format = new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "short" });
  return (ms) => Date.parse(`${format.format(ms).replace(" ", "T")}Z`) / MINUTE;
}

const known = new Map<string, readonly number[]>();

/** The moments at which local time jumps. */
function transitions(zone: string): readonly number[] {
  const found = known.get(zone) ?? jumps(zone);
  known.set(zone, found);
  return found;
}

function jumps(zone: string): number[] {
  const local = localMinutes(zone);
  const offset = (ms: number): number => local(ms) - ms / MINUTE;
  const found: number[] = [];
  for (let ms = FROM; ms < TO; ms += 6 * HOUR) {
    if (offset(ms) === offset(ms + 6 * HOUR)) continue;
    let [before, after] = [ms, ms + 6 * HOUR];
    while (after - before > MINUTE) {
      const middle = before + Math.floor((after - before) / 2 / MINUTE) * MINUTE;
      if (offset(middle) === offset(before)) before = middle;
      else after = middle;
    }
    found.push(after);
  }
  return found;
}

const slots = (expression: string, zone: string, from: number, to: number): number[] =>
  moments(times({ cron: expression, zone }, cron), from - 1, to, 100_000);

/** Moment and local time, minute by minute. */
type Walked = readonly (readonly [number, number])[];

function walk(zone: string, from: number, to: number): Walked {
  const local = localMinutes(zone);
  return Array.from(
    { length: (to - from) / MINUTE + 1 },
    (_, i) => [from + i * MINUTE, local(from + i * MINUTE)] as const,
  );
}

/** For times of the day that are named: each once a day, in the first of two, or at the jump where there is none. */
function named(walked: Walked, at: number, minutesOfDay: readonly number[]): number[] {
  const first = new Map<number, number>();
  for (const [ms, local] of walked) if (!first.has(local)) first.set(local, ms);
  const [, low = 0] = walked[0] ?? [];
  const [, high = 0] = walked.at(-1) ?? [];
  const found = new Set<number>();
  for (let local = low; local <= high; local++) {
    if (minutesOfDay.includes(local % 1_440)) found.add(first.get(local) ?? at);
  }
  return [...found].sort((a, b) => a - b);
}

const text = (all: readonly number[]): string[] => all.map((ms) => new Date(ms).toISOString());

test("there are changes to look at, and zones that have none", () => {
  expect(CHANGING.flatMap(transitions).length).toBeGreaterThanOrEqual(40);
  for (const zone of CHANGING) expect(transitions(zone).length, zone).toBeGreaterThan(0);
  for (const zone of STEADY) expect(transitions(zone), zone).toEqual([]);
});

describe.each([...CHANGING, ...STEADY])("%s", (zone) => {
  const found = transitions(zone);

  // Where nothing changes an ordinary day is looked at.
  test.each(text(found.length > 0 ? found : [Date.parse("2026-06-15T00:00:00Z")]))(
    "times that are named, around %s",
    (iso) => {
      const at = Date.parse(iso);
      const [from, to] = [at - 30 * HOUR, at + 30 * HOUR];
      const walked = walk(zone, from, to);
      const local = localMinutes(zone);
      // The first and the last minute before the jump, and each tenth minute of what is skipped or doubled and an hour around it.
      const [before, after] = [local(at - MINUTE), local(at)];
      const edges = [before, before + 1, after - 1, after, Math.min(before, after) + 1];
      for (let minute = Math.min(before, after) - 60; minute <= Math.max(before, after) + 60; minute += 10)
        edges.push(minute);
      for (const edge of new Set(edges.map((minute) => ((minute % 1_440) + 1_440) % 1_440))) {
        const [hour, minute] = [Math.floor(edge / 60), edge % 60];
        expect(text(slots(`${minute} ${hour} * * *`, zone, from, to)), `${minute} ${hour}`).toEqual(
          text(named(walked, at, [edge])),
        );
      }
      const hour = Math.floor((((Math.min(before, after) + 1) % 1_440) + 1_440) / 60) % 24;
      const [low, high] = [Math.max(0, hour - 2), Math.min(23, hour + 2)];
      const range = Array.from({ length: high - low + 1 }, (_, i) => low + i);
      expect(text(slots(`7,52 ${low}-${high} * * *`, zone, from, to))).toEqual(
        text(
          named(
            walked,
            at,
            range.flatMap((one) => [one * 60 + 7, one * 60 + 52]),
          ),
        ),
      );
      const twice = [hour, (hour + 12) % 24];
      expect(text(slots(`0 20 ${twice.join(",")} * * *`, zone, from, to))).toEqual(
        text(
          named(
            walked,
            at,
            twice.map((one) => one * 60 + 20),
          ),
        ),
      );
    },
  );

  test.each(text(found.length > 0 ? found : [Date.parse("2026-06-15T00:00:00Z")]))(
    "times that are counted out, around %s",
    (iso) => {
      const at = Date.parse(iso);
      const [from, to] = [at - 4 * HOUR, at + 4 * HOUR];
      const walked = walk(zone, from, to);
      const matching = (matches: (minuteOfDay: number) => boolean): string[] =>
        text(walked.filter(([, local]) => matches(local % 1_440)).map(([ms]) => ms));
      expect(text(slots("* * * * *", zone, from, to))).toEqual(matching(() => true));
      expect(text(slots("*/15 * * * *", zone, from, to))).toEqual(matching((minute) => minute % 15 === 0));
      expect(text(slots("10 * * * *", zone, from, to))).toEqual(matching((minute) => minute % 60 === 10));
      expect(text(slots("5 */2 * * *", zone, from, to))).toEqual(matching((minute) => minute % 120 === 5));
      const hour = Math.floor((walked.find(([ms]) => ms === at)?.[1] ?? 0) / 60) % 24;
      for (const one of [hour, (hour + 23) % 24]) {
        expect(text(slots(`*/5 ${one} * * *`, zone, from, to))).toEqual(
          matching((minute) => Math.floor(minute / 60) === one && minute % 5 === 0),
        );
      }
      const near = slots("*/20 * * * * *", zone, at - 5 * MINUTE, at + 5 * MINUTE);
      expect(near).toEqual(Array.from({ length: 31 }, (_, i) => at - 5 * MINUTE + i * 20_000));
    },
  );

  test.each(text(found))("the slots around %s know which of two they are, and no two share a name", (iso) => {
    const at = Date.parse(iso);
    const walked = walk(zone, at - 5 * HOUR, at + 5 * HOUR);
    const names = new Set<string>();
    for (const [ms, local] of walked) {
      const one = slot("s", ms, zone);
      const twins = walked.filter(([, other]) => other === local).map(([other]) => other);
      expect(one.doubled, one.at).toBe(twins.length === 1 ? undefined : twins[0] === ms ? "first" : "second");
      expect(Date.parse(`${one.localDate}T${one.localTime}${one.offset}`)).toBe(ms);
      expect(Date.parse(`${one.localDate}T${one.localTime}Z`) / MINUTE).toBe(local);
      names.add(`${one.localDate} ${one.localTime} ${one.doubled ?? ""}`);
    }
    expect(names.size).toBe(walked.length);
  });

  // What is made up for after a long silence is looked for backwards.
  test.each(text(found))("around %s they are the same forwards and backwards", (iso) => {
    const at = Date.parse(iso);
    for (const expression of ["30 2 * * *", "*/15 * * * *", "15 0-3 * * *", "0,30 23 * * *", "7 */3 * * *"]) {
      const forwards = slots(expression, zone, at - 30 * HOUR, at + 30 * HOUR);
      const read = times({ cron: expression, zone }, cron);
      expect(text([...read.previous(forwards.length, at + 30 * HOUR + 1_000)].reverse()), expression).toEqual(
        text(forwards),
      );
    }
  });
});

describe("slots, whatever the expression, the zone and the moment", () => {
  const field = (low: number, high: number) =>
    fc.oneof(
      fc.constant("*"),
      fc.integer({ min: low, max: high }).map(String),
      fc.integer({ min: 2, max: 20 }).map((step) => `*/${step}`),
      fc
        .tuple(fc.integer({ min: low, max: high }), fc.integer({ min: low, max: high }))
        .map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
      fc.uniqueArray(fc.integer({ min: low, max: high }), { minLength: 2, maxLength: 4 }).map((all) => all.join(",")),
    );
  const near = fc.oneof(
    fc.integer({ min: FROM / 1_000, max: TO / 1_000 }).map((seconds) => seconds * 1_000),
    fc
      .constantFrom(...CHANGING.flatMap(transitions))
      .chain((at) => fc.integer({ min: -4 * 3_600, max: 4 * 3_600 }).map((seconds) => at + seconds * 1_000)),
  );
  const world = fc.record({
    expression: fc
      .tuple(
        field(0, 59),
        field(0, 23),
        fc.constantFrom("*", "*", "1-15"),
        fc.constant("*"),
        fc.constantFrom("*", "*", "1-5"),
      )
      .map((parts) => parts.join(" ")),
    zone: fc.constantFrom(...CHANGING, ...STEADY),
    from: near,
    lengths: fc.tuple(fc.integer({ min: 0, max: 20_000 }), fc.integer({ min: 0, max: 20_000 })),
  });

  test("they only go up, none comes twice, and two stretches make the whole", () => {
    fc.assert(
      fc.property(world, ({ expression, zone, from, lengths }) => {
        const read = times({ cron: expression, zone }, cron);
        const [a, b, c] = [from, from + lengths[0] * 1_000, from + (lengths[0] + lengths[1]) * 1_000];
        const whole = moments(read, a, c, 10_000);
        expect([...moments(read, a, b, 10_000), ...moments(read, b, c, 10_000)]).toEqual(whole);
        whole.forEach((ms, i) => {
          expect(ms).toBeGreaterThan(whole[i - 1] ?? a);
          expect(ms).toBeLessThanOrEqual(c);
          expect(ms % 1_000).toBe(0);
        });
      }),
      { numRuns: 200 },
    );
  });
});
