/**
 * The scheduler: look, decide, send.
 *
 * Every process that works runs one, and none of them leads: they all find the same schedule due, and the database lets one
 * decide (store/schedule.ts). Time here is only how long to sleep, measured from what the database's clock said.
 *
 * It polls nothing by itself. It sleeps until the next slot it knows of, and is woken by a hint when a schedule was changed
 * somewhere, and by the housekeeping of its process, once a minute or so: an idle database is awake then anyway, and need not be
 * woken for this a second time. That look is the truth: it finds what a lost hint told of, and a clock that was set.
 */
import { defaults } from "../core/defaults.ts";
import { fault } from "../core/errors.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { CronPort } from "../core/ports/cron.ts";
import type { Logger } from "../core/ports/logger.ts";
import type { DueSchedule, ScheduleStore } from "../core/ports/schedules.ts";
import type { Arrival } from "../core/ports/store.ts";
import { decide, jitter, slot, slotKey, times, type Slot } from "../core/schedule.ts";
import { Alarm } from "./alarm.ts";

/**
 * Makes the message of a slot: to a topic, with an input, under a key that no other slot has. Everything else about it is the
 * maker's, so that a job's message can be made as the job makes its own.
 */
export type SlotMessage = (
  topic: string,
  input: unknown,
  options: { readonly key: string; readonly delayMs: number; readonly headers: Readonly<Record<string, string>> },
) => Arrival;

/** A schedule as the code of this process has it. */
export interface Own {
  readonly name: string;
  readonly definition: string;
  /** What its messages hold: made of the slot, or the same each time, or the slot itself. */
  readonly make: (slot: Slot) => unknown;
  readonly message: SlotMessage;
}

/** A job that this process declares: its inputs are checked, and its messages made, as where it is enqueued. */
export interface SlotJob {
  readonly name: string;
  /** Throws where the job's schema refuses an input. */
  check(input: unknown): Promise<unknown>;
  readonly message: SlotMessage;
}

export interface SchedulerHost {
  readonly store: ScheduleStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly cron: CronPort;
  readonly own: ReadonlyMap<string, Own>;
  readonly jobs: ReadonlyMap<string, SlotJob>;
  /** For the schedules of the API. */
  readonly message: SlotMessage;
  /** Called after each commit that made something due. */
  hint(): void;
}

/** The longest sleep: housekeeping wakes it long before. */
const LONGEST_MS = 3_600_000;
/** After somebody else was found at it: whether they were, or died of it. */
const LOST_MS = 1_000;
/** Less than the minute after which the store refuses what was read. */
const INPUT_MS = 50_000;
/** A schedule that cannot be decided here (an input that throws, a zone that is not known) is left alone for so long. */
const REST_MS = 30_000;

export class Scheduler {
  readonly #host: SchedulerHost;
  readonly #alarm: Alarm;
  /** By name, until when. */
  readonly #resting = new Map<string, number>();
  /** At first all are looked at: this process's zone data may be newer than that of whoever wrote down when the next slot is. */
  #all = true;
  #stopping = false;
  #loop: Promise<void> | undefined;

  constructor(host: SchedulerHost) {
    this.#host = host;
    this.#alarm = new Alarm(host.clock);
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  wake(): void {
    this.#alarm.ring();
  }

  /** Decides what is due now, without staying. */
  async once(): Promise<void> {
    while ((await this.#round()) <= 1);
    this.#alarm.stop();
  }

  /** What is under way is ended first. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#alarm.ring();
    await this.#loop;
    this.#alarm.stop();
  }

  async #run(): Promise<void> {
    for (let failures = 0; !this.#stopping;) {
      this.#alarm.clear();
      try {
        const waitMs = await this.#round();
        failures = 0;
        if (!this.#alarm.rung && !this.#stopping) await this.#alarm.sleep(waitMs);
      } catch (error) {
        failures++;
        this.#host.logger.warn({ error, failures }, "schedules not looked at");
        this.#alarm.clear();
        if (!this.#stopping) await this.#alarm.sleep(Math.min(5_000, 100 * 2 ** failures));
      }
    }
  }

  /** Decides all that is due; how long to sleep then. */
  async #round(): Promise<number> {
    const { clock, store, own, jobs, logger } = this.#host;
    const began = clock.monotonic();
    for (const [name, until] of this.#resting) if (until <= began) this.#resting.delete(name);
    const looked = await store.look({
      own: [...own.values()],
      jobs: [...jobs.keys()],
      except: [...this.#resting.keys()],
      all: this.#all,
    });
    this.#all = false;
    let waitMs = looked.more ? 0 : (looked.waitMs ?? LONGEST_MS);
    for (const one of looked.due) {
      if (this.#stopping) break;
      try {
        waitMs = Math.min(waitMs, (await this.#decide(one, looked.nowMs)) - looked.nowMs);
      } catch (error) {
        logger.error({ error, schedule: one.name }, "schedule not decided: it is tried again");
        this.#resting.set(one.name, clock.monotonic() + REST_MS);
        this.#alarm.ringIn(REST_MS);
      }
    }
    return Math.min(LONGEST_MS, Math.max(1, waitMs - (clock.monotonic() - began)));
  }

  /** When its next slot is. */
  async #decide(due: DueSchedule, nowMs: number): Promise<number> {
    const { clock, store, logger, own, jobs, cron } = this.#host;
    const began = clock.monotonic();
    const { name } = due;
    const { taken, leftOut, decidedMs, nextMs, setBack } = decide(due, times(due, cron), {
      decidedMs: due.decidedMs,
      nowMs,
    });
    const undecided = decidedMs === due.decidedMs;
    if (undecided && nextMs === due.nextMs) return nextMs;
    if (setBack)
      logger.warn({ schedule: name, decidedTo: new Date(due.decidedMs) }, "the database's clock was set back");
    const made = due.origin === "code" ? own.get(name) : undefined;
    const job = due.origin === "job" ? jobs.get(due.topic) : undefined;
    const message = made?.message ?? job?.message ?? this.#host.message;
    const arrivals: Arrival[] = [];
    for (const atMs of taken) {
      const one = slot(name, atMs, due.zone);
      const input = made === undefined ? (due.input === undefined ? one : JSON.parse(due.input)) : await made.make(one);
      await job?.check(input);
      const delayMs = Math.max(0, atMs + jitter(name, one.at, due.jitterMs) - nowMs);
      const headers = {
        schedule: name,
        slot: one.at,
        "slot-local": `${one.localDate}T${one.localTime}${one.offset}[${one.zone}]`,
      };
      arrivals.push(message(due.topic, input, { key: slotKey(one), delayMs, headers }));
    }
    const tookMs = clock.monotonic() - began;
    // It would be refused as read too long ago, each time, and nobody would be told why.
    if (tookMs > INPUT_MS) {
      const expected = `the input of a schedule within ${INPUT_MS} ms`;
      throw fault("NT_TIMEOUT", { expected, got: `${Math.round(tookMs)} ms`, next: "Make it in the handler." });
    }
    const turn = {
      name,
      turn: due.turn,
      readMs: nowMs,
      decidedMs: undecided ? undefined : decidedMs,
      nextMs,
      lastMs: taken.at(-1),
    };
    const accepted = await store.decide(turn, arrivals);
    if (accepted === undefined) {
      // The next look tells who did it, if anybody did.
      this.#alarm.ringIn(LOST_MS);
      return nextMs ?? Infinity;
    }
    if (leftOut > 0) {
      const many = leftOut >= defaults.missedSlots ? `${leftOut} or more` : leftOut;
      logger.warn(
        { schedule: name, missed: due.missed, taken: taken.length, leftOut: many },
        "slots were missed and left out",
      );
    }
    if (accepted.some(({ kind }) => kind === "conflict")) {
      logger.warn({ schedule: name }, "a slot was sent already, with another input");
    }
    if (accepted.some(({ kind }) => kind === "accepted")) this.#host.hint();
    return nextMs ?? Infinity;
  }
}
