/**
 * Schedules: which slots there are, and which of them become messages.
 *
 * A *slot* is one moment that a schedule's cron expression names in its zone. Its identity is that moment, in UTC, and the key of
 * its message is `<schedule>/<moment>`: the ledger of keys would refuse a second one, whoever asks. What decides first is the
 * schedule's row: every slot up to `decidedMs` has been decided, later ones have not, and a decision moves that moment and writes
 * the messages in one transaction. So nothing here needs a leader or a clock of its own; `nowMs` is the database's.
 *
 *     decidedMs                    now - grace              now
 *   -----|------ missed ------ ... ----|------ in time ------|-----> next
 *
 * A slot is *missed* when it is decided more than the grace after its time: nobody was there. What becomes of missed slots is the
 * schedule's policy. Slots in time are always taken, all of them: a process that starts again within minutes loses none.
 *
 * What it does not promise: that a slot is taken at its very moment (a deploy may be under way), and anything about slots from
 * before the schedule was declared, or before its expression was changed: there is no backfill.
 */
import { defaults } from "./defaults.ts";
import { fault } from "./errors.ts";
import { nearest } from "./nearest.ts";
import type { CronPort, CronTimes } from "./ports/cron.ts";
import { isZone, localTime, utcText } from "./zone.ts";

const POLICIES = ["skip", "once", "all"] as const;

/** What becomes of slots for which nobody was there in time: none of them, the latest, or each. */
export type Missed = (typeof POLICIES)[number];

export interface Slot {
  readonly schedule: string;
  /** The moment, in UTC: `2026-10-25T01:30:00Z`. The slot's identity. */
  readonly at: string;
  readonly atMs: number;
  readonly zone: string;
  /** `2026-10-25`, in the zone. */
  readonly localDate: string;
  /** `02:30:00`, in the zone. */
  readonly localTime: string;
  /** `+01:00` */
  readonly offset: string;
  /** Where clocks are set back a local time comes twice: which of the two it is. */
  readonly doubled?: "first" | "second";
}

export interface Timing {
  readonly cron: string;
  readonly zone: string;
  readonly missed: Missed;
  readonly jitterMs: number;
}

/** Checks what was given. Throws NT_CRON, NT_ZONE and NT_OPTION. */
export function timing(
  given: {
    readonly cron: string;
    readonly zone: string;
    readonly missed?: Missed | undefined;
    readonly jitterMs?: number | undefined;
  },
  port: CronPort,
): Timing {
  const { cron, zone, missed = "once", jitterMs = 0 } = given;
  if (!POLICIES.includes(missed)) {
    throw fault("NT_OPTION", { expected: `missed as ${POLICIES.join(", ")}`, got: `\`${String(missed)}\`` });
  }
  if (!(Number.isInteger(jitterMs) && jitterMs >= 0 && jitterMs <= 86_400_000)) {
    throw fault("NT_OPTION", { expected: "jitterMs from 0 ms to a day, whole", got: String(jitterMs) });
  }
  checkZone(zone);
  times({ cron, zone }, port);
  return { cron, zone, missed, jitterMs };
}

function checkZone(zone: unknown): void {
  if (typeof zone === "string" && zone !== "" && isZone(zone)) return;
  const got = typeof zone === "string" ? `\`${zone.slice(0, 60)}\`` : "no zone";
  const near = typeof zone === "string" ? nearest(zone, Intl.supportedValuesOf("timeZone")) : undefined;
  throw fault("NT_ZONE", { got, ...(near === undefined ? {} : { next: `Did you mean \`${near}\`?` }) });
}

/** Any moment: an expression that names none in the years after it names none. */
const SOME_MS = 1_767_225_600_000;

/** Reads an expression. Throws NT_CRON, also where it names no moment at all: 30 February. */
export function times({ cron, zone }: Pick<Timing, "cron" | "zone">, port: CronPort): CronTimes {
  // The longest that means something names every minute. What is set at run time may come from outside.
  const fields = typeof cron === "string" && cron.length <= 500 ? cron.trim().split(/\s+/).length : 0;
  if (fields !== 5 && fields !== 6) {
    throw fault("NT_CRON", { got: typeof cron === "string" ? `\`${cron.slice(0, 60)}\`` : typeof cron });
  }
  let read: CronTimes;
  try {
    read = port.read(cron, zone);
  } catch (cause) {
    throw fault("NT_CRON", { got: `\`${cron.slice(0, 60)}\`: ${(cause as Error).message}`, cause });
  }
  if (read.next(SOME_MS) !== undefined) return read;
  throw fault("NT_CRON", {
    expected: "an expression that names a moment",
    got: `\`${cron.slice(0, 60)}\`, a date that never comes`,
  });
}

export function slot(schedule: string, atMs: number, zone: string): Slot {
  const { date, time, offset, doubled } = localTime(atMs, zone);
  return {
    schedule,
    at: utcText(atMs),
    atMs,
    zone,
    localDate: date,
    localTime: time,
    offset,
    ...(doubled === undefined ? {} : { doubled }),
  };
}

/** The key of a slot's message. */
export function slotKey({ schedule, at }: Pick<Slot, "schedule" | "at">): string {
  return `${schedule}/${at}`;
}

/** The moments after one and up to another, the first so many. */
export function moments(read: CronTimes, afterMs: number, toMs: number, most: number): number[] {
  const found: number[] = [];
  for (let at = read.next(afterMs); at !== undefined && at <= toMs && found.length < most; at = read.next(at)) {
    found.push(at);
  }
  return found;
}

export interface Decision {
  /** The moments that become messages, in their order. */
  readonly taken: readonly number[];
  /** Slots that were due and do not; counted up to a thousand. */
  readonly leftOut: number;
  /** Every slot up to here is decided. */
  readonly decidedMs: number;
  /** When to look next; undefined when there is no slot any more. */
  readonly nextMs: number | undefined;
  /** The database's clock stands before what was decided: it was set back. */
  readonly setBack: boolean;
}

/**
 * What becomes of the slots that are due at `nowMs`.
 *
 * A clock that was set forward takes slots before their time, and one that is set back again finds them decided. Were they
 * left at that, a schedule would stand still for as long as the clock had been ahead, and with `skip` and `once` the slots that
 * were passed over would be lost. So they are opened again, and the ledger refuses those that were taken; those of the last minutes
 * too, because nobody knows how long ago it was set back. Up to a minute, as after a failover to another machine, is waited out.
 */
export function decide(
  { missed }: Pick<Timing, "missed">,
  read: CronTimes,
  { decidedMs, nowMs }: { readonly decidedMs: number; readonly nowMs: number },
): Decision {
  const setBack = decidedMs > nowMs + SET_BACK_MS;
  const most = defaults.missedSlots;
  const inTimeMs = nowMs - defaults.scheduleGraceMs;
  const due = moments(read, setBack ? inTimeMs : decidedMs, nowMs, 2 * most);
  if (due.length === 0) {
    const next = read.next(setBack ? nowMs : Math.max(decidedMs, nowMs));
    return { taken: [], leftOut: 0, decidedMs: setBack ? nowMs : decidedMs, nextMs: next, setBack };
  }
  // Past the bound they are looked for from now backwards: to walk through a year of seconds would take minutes.
  const before = Math.floor(nowMs / 1_000) * 1_000 + 1_000;
  const latest = due.length === 2 * most ? [...read.previous(most, before)].reverse() : due.slice(-most);
  const late = due.some((at) => at < inTimeMs);
  const taken =
    missed === "all"
      ? latest
      : missed === "skip"
        ? latest.filter((at) => at >= inTimeMs)
        : late
          ? latest.slice(-1)
          : latest;
  return {
    taken,
    leftOut: Math.min(most, due.length - taken.length),
    decidedMs: nowMs,
    nextMs: read.next(nowMs),
    setBack,
  };
}

export const SET_BACK_MS = 60_000;

/**
 * From 0 to `jitterMs`, by schedule and slot: every process computes the same, so it does not matter who takes the slot. FNV-1a,
 * and the last steps of MurmurHash3, because neighbouring slots differ in a digit alone.
 */
export function jitter(name: string, at: string, jitterMs: number): number {
  let hash = 0x811c9dc5;
  for (const character of `${name}/${at}`) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  hash = (hash ^ (hash >>> 16)) >>> 0;
  return Math.floor((hash / 2 ** 32) * (jitterMs + 1));
}
