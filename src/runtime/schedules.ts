import { checkOptions, fault } from "../core/errors.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { CronPort } from "../core/ports/cron.ts";
import type { Logger } from "../core/ports/logger.ts";
import type { ListedSchedule, Origin, ScheduleDeclaration } from "../core/ports/schedules.ts";
import type { Store } from "../core/ports/store.ts";
import { type Missed, type Slot, slot, times, timing } from "../core/schedule.ts";
import { checkName } from "../core/topic.ts";
import { digest, payloadJson } from "./arrival.ts";
import type { Job } from "./job.ts";
import { type Own, Scheduler, type SlotJob, type SlotMessage } from "./scheduler.ts";

interface ScheduleTiming {
  /** Five fields (minute, hour, day, month, weekday), or six with seconds in front. */
  readonly cron: string;
  /** Of the IANA database. There is no default: a process's own zone differs from machine to machine. */
  readonly zone: string;
  /** What becomes of slots for which no process was there within five minutes. @default "once": the latest of them */
  readonly missed?: Missed;
  /** Each slot's message is first due up to this much later: the same for a slot, whoever sends it. @default 0 */
  readonly jitterMs?: number;
  /** @default the schedule's name */
  readonly topic?: string;
}

/** A schedule declared in code. */
export interface ScheduleOptions extends ScheduleTiming {
  /** What each message holds: a value, or made of its slot. Named one by one, so that `slot` has its type. @default the slot */
  readonly input?: ((slot: Slot) => unknown) | object | string | number | boolean | null;
}

/** A schedule set at run time. */
export interface SetScheduleOptions<Input = unknown> extends ScheduleTiming {
  /**
   * Enqueues this job at each slot, in place of a message to a topic: what `nt.job` returned, or its name. Its input is checked when
   * it is set, where this process knows the job's schema, and whenever it is sent.
   */
  readonly job?: ScheduledJob<Input> | string;
  /** What each message holds. @default the slot */
  readonly input?: NoInfer<Input>;
}

/** A job as `set` needs it. */
export type ScheduledJob<Input> = Pick<Job<any, any, any>, "name" | "check"> &
  Partial<Pick<Job<Input, any, any>, "enqueue">>;

const OPTIONS = ["cron", "zone", "missed", "jitterMs", "topic", "input"] as const;
/** Who hints that a schedule was changed: workers need not look. */
export const CHANGED = "schedules";

export interface SchedulesHost {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly cron: CronPort;
  store(): Promise<Store>;
  /** Makes the message of a slot. */
  readonly message: SlotMessage;
  /** Called after each commit that made something due. */
  hint(): void;
}

/** What `nt.schedules` offers. */
export type RunTimeSchedules = Pick<Schedules, "set" | "remove" | "pause" | "resume" | "list">;

/** The schedules: those of this process's code, and those that are set at run time. */
export class Schedules {
  readonly #host: SchedulesHost;
  readonly #own = new Map<string, Own & ScheduleDeclaration>();
  readonly #jobs = new Map<string, SlotJob>();
  /** Of older deploys, as this process was told. */
  readonly #outdated = new Set<string>();
  #scheduler: Scheduler | undefined;

  constructor(host: SchedulesHost) {
    this.#host = host;
  }

  /** A job of this process's code: a schedule that is set at run time may name it. */
  addJob(job: SlotJob): void {
    this.#jobs.set(job.name, job);
  }

  /** Declares one in code. `message` makes its messages, where they are not plain ones. Throws as `nt.schedule`. */
  add(name: string, options: ScheduleOptions, message: SlotMessage = this.#host.message): void {
    const given = options.input;
    const made = typeof given === "function" ? (given as (slot: Slot) => unknown) : undefined;
    const { input: _, ...constant } = options;
    const declared = this.#declaration(name, "code", made === undefined ? options : constant);
    if (this.#own.has(name) && process.env["NODE_ENV"] !== "development") {
      throw fault("NT_OPTION", { expected: "every schedule to have a name of its own", got: `\`${name}\` twice` });
    }
    if (this.#scheduler !== undefined) {
      throw fault("NT_OPTION", {
        expected: "schedules declared before start(), or set at run time",
        got: `\`${name}\``,
      });
    }
    this.#own.set(name, { ...declared, make: made ?? ((slot) => (given === undefined ? slot : given)), message });
  }

  /**
   * Sets one at run time: makes it, or changes it. It starts now; where its expression or its zone changed, what was due before is
   * left out. Any process that works takes care of it, or, of a job, any that declares the job. Throws NT_CRON, NT_ZONE, NT_OPTION,
   * NT_PAYLOAD, NT_JOB_INPUT, NT_NOT_FOUND for a job that nobody declares, and NT_SCHEDULE_ORIGIN when code declares one of this name.
   */
  async set<Input = unknown>(name: string, { job, ...options }: SetScheduleOptions<Input>): Promise<void> {
    if (job !== undefined && options.topic !== undefined) {
      throw fault("NT_OPTION", { expected: "a schedule's job or its topic, not both", got: "both" });
    }
    const to = typeof job === "string" ? job : job?.name;
    const declared = this.#declaration(
      name,
      to === undefined ? "api" : "job",
      to === undefined ? options : { ...options, topic: to },
    );
    const known = typeof job === "object" ? job : this.#jobs.get(to ?? "");
    const { clock, cron } = this.#host;
    const first = times(declared, cron).next(clock.now());
    await known?.check(options.input ?? slot(name, first ?? clock.now(), declared.zone));
    await this.#change((store) => store.schedules.declare(declared));
  }

  /** Its row goes; what it has sent stays. Throws NT_NOT_FOUND, and NT_SCHEDULE_ORIGIN while code declares it. */
  remove(name: string): Promise<void> {
    return this.#change((store) => store.schedules.remove(name));
  }

  /** Nothing is sent until it is resumed, not even after a deploy. Throws NT_NOT_FOUND. */
  pause(name: string): Promise<void> {
    return this.#change((store) => store.schedules.pause(name, true));
  }

  /** What it missed meanwhile is made up for as `missed` says. Throws NT_NOT_FOUND. */
  resume(name: string): Promise<void> {
    return this.#change((store) => store.schedules.pause(name, false));
  }

  /** All there are, by name. */
  async list(): Promise<readonly ListedSchedule[]> {
    return (await this.#host.store()).schedules.list();
  }

  /** Declares those of code. A process that does not work declares none: it would not take care of them. */
  async declare(store: Store): Promise<void> {
    for (const one of this.#own.values()) {
      const outdated = (await store.schedules.declare(one)) === "outdated";
      if (outdated && !this.#outdated.has(one.name)) {
        this.#host.logger.warn({ schedule: one.name }, "a newer deploy has changed this schedule: it is left to that");
      }
      if (outdated) this.#outdated.add(one.name);
      else this.#outdated.delete(one.name);
    }
  }

  /** Begins to take care of what is due. Those of code have been declared. */
  start(store: Store): void {
    this.#scheduler ??= this.#made(store);
    this.#scheduler.start();
  }

  /** Sends what is due, in a process that does not stay. */
  async once(store: Store): Promise<void> {
    await this.declare(store);
    await this.#made(store).once();
  }

  /** Looks now. */
  wake(): void {
    this.#scheduler?.wake();
  }

  /** At each round of housekeeping: those of code are still declared, and this process looks whether something is due. */
  async round(store: Store): Promise<void> {
    await this.declare(store);
    this.wake();
  }

  async stop(): Promise<void> {
    await this.#scheduler?.stop();
  }

  #made(store: Store): Scheduler {
    const { clock, logger, cron, message, hint } = this.#host;
    return new Scheduler({
      store: store.schedules,
      clock,
      logger,
      cron,
      own: this.#own,
      jobs: this.#jobs,
      message,
      hint,
    });
  }

  #declaration(
    name: string,
    origin: Origin,
    options: ScheduleTiming & { readonly input?: unknown },
  ): ScheduleDeclaration {
    checkName("schedule name", name);
    checkOptions("a schedule", options, OPTIONS);
    const { cron, zone, missed, jitterMs } = timing(options, this.#host.cron);
    const topic = checkName("topic", options.topic ?? name);
    const input = options.input === undefined ? undefined : payloadJson(options.input);
    const of = origin === "job" ? [origin] : [];
    const definition = digest(topic, cron, zone, missed, String(jitterMs), input ?? "", ...of);
    return { name, origin, topic, cron, zone, missed, jitterMs, input, definition };
  }

  async #change(work: (store: Store) => Promise<unknown>): Promise<void> {
    const store = await this.#host.store();
    await work(store);
    this.wake();
    await store.hint(CHANGED);
  }
}
