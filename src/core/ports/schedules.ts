/**
 * The part of the store that remembers schedules. A slot becomes a message at most once: whoever decides names the `turn` that
 * was read, and writes nothing when the schedule has another by now.
 */
import type { Missed, Timing } from "../schedule.ts";
import type { Arrival, Put } from "./store.ts";

/**
 * Where a schedule is declared. One of code is taken care of by the processes that declare it, one of the API by all. `job`: of the
 * API too, and its topic is a job, so that only processes that declare that job can make its message.
 */
export type Origin = "code" | "api" | "job";

export interface ScheduleDeclaration extends Timing {
  readonly name: string;
  readonly origin: Origin;
  readonly topic: string;
  /** As JSON text; undefined where the slot itself is the input, or code makes it. */
  readonly input: string | undefined;
  /** A hash of all of it: whether two processes mean the same. */
  readonly definition: string;
}

/** A schedule that is due, as it was read. */
export interface DueSchedule extends Timing {
  readonly name: string;
  readonly origin: Origin;
  readonly topic: string;
  readonly input: string | undefined;
  /** Counts what was written about the schedule. */
  readonly turn: number;
  /** Every slot up to here is decided. Milliseconds, on the database's clock, as all of these. */
  readonly decidedMs: number;
  readonly nextMs: number;
}

export interface Looked {
  readonly nowMs: number;
  readonly due: readonly DueSchedule[];
  /** There may be more that are due than one look holds. */
  readonly more: boolean;
  /** Until the next one of the others is due; undefined when there is none. */
  readonly waitMs: number | undefined;
}

export interface Turn {
  readonly name: string;
  /** As it was read, and when. */
  readonly turn: number;
  readonly readMs: number;
  /** Undefined where nothing was decided. */
  readonly decidedMs: number | undefined;
  /** Undefined where there is no slot any more. */
  readonly nextMs: number | undefined;
  readonly lastMs: number | undefined;
}

export interface ListedSchedule {
  readonly name: string;
  readonly topic: string;
  readonly cron: string;
  readonly zone: string;
  readonly missed: Missed;
  readonly jitterMs: number;
  readonly origin: Origin;
  /** The next slot; when it is in the past, nobody has taken care of it yet. */
  readonly nextAt: Date | undefined;
  /** The last slot that became a message. */
  readonly lastSlot: Date | undefined;
  readonly pausedAt: Date | undefined;
  /** When a process last said that its code has it, or when it was set. */
  readonly declaredAt: Date;
}

export interface ScheduleStore {
  /**
   * Registers a schedule, or changes it. A new one, or one whose expression or zone changed, starts now: there is no backfill.
   * `outdated`: this definition was replaced by another one, which some process still declares, so it is an old process that
   * asks, and nothing changed. Throws NT_SCHEDULE_ORIGIN, and NT_NOT_FOUND where nobody has declared its job.
   */
  declare(declaration: ScheduleDeclaration): Promise<"declared" | "outdated">;
  /**
   * The schedules that are due: of the API, of these jobs, and of the code whose names and definitions are given; never paused ones, nor those in
   * `except`. With `all` also those that are not due.
   */
  look(options: {
    readonly own: readonly Pick<ScheduleDeclaration, "name" | "definition">[];
    /** Those that this process declares. */
    readonly jobs?: readonly string[];
    readonly except: readonly string[];
    readonly all: boolean;
  }): Promise<Looked>;
  /**
   * Decides slots: moves the schedule on and accepts the messages, in one transaction. Undefined, and nothing was written, when the
   * turn is not this one any more, when it was read more than a minute ago, when somebody else is about it, or when the COMMIT was
   * not answered: the next look tells.
   */
  decide(turn: Turn, arrivals: readonly Arrival[]): Promise<readonly Put[] | undefined>;
  /** Pauses or resumes. One that is paused is not looked at; resumed, its policy says what becomes of the slots. Throws NT_NOT_FOUND. */
  pause(name: string, paused: boolean): Promise<void>;
  /** Throws NT_NOT_FOUND, and NT_SCHEDULE_ORIGIN while a process declares it in code. */
  remove(name: string): Promise<void>;
  list(): Promise<readonly ListedSchedule[]>;
}
