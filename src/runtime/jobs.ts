import { checkOptions, fault } from "../core/errors.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Store } from "../core/ports/store.ts";
import type { Slot } from "../core/schedule.ts";
import { checkName, JOBS } from "../core/topic.ts";
import type { Accepting } from "./accepting.ts";
import { batchConsumer, consumer, type Consumer } from "./consumer.ts";
import type { Handler } from "./face.ts";
import {
  type CancelOptions,
  type CancelOutcome,
  Job,
  type JobHost,
  type JobOptions,
  type JobSchedule,
  parcel,
} from "./job.ts";
import { Outcomes } from "./outcomes.ts";
import type { SlotMessage } from "./scheduler.ts";
import type { Schedules } from "./schedules.ts";
import { CANCELLED } from "./working.ts";

export interface JobsHost {
  readonly clock: Clock;
  ready(): Promise<Store>;
  readonly accepting: Accepting;
  readonly schedules: Schedules;
  add(one: Consumer): void;
  remove(name: string): void;
  /** Something is due. */
  hint(): void;
  /** An execution in this process may have been ended by hand. */
  checkClaims(): void;
}

/** The jobs of an instance: declared, scheduled, awaited, ended by hand. */
export class Jobs {
  readonly #host: JobsHost;
  readonly #outcomes: Outcomes;
  readonly #jobHost: JobHost;

  constructor(host: JobsHost) {
    this.#host = host;
    this.#outcomes = new Outcomes(() => host.ready(), host.clock);
    this.#jobHost = {
      put: (parcels, tx) => host.accepting.putMany(parcels, tx),
      result: (id, { timeoutMs = 60_000 } = {}) => this.#outcomes.result(id, timeoutMs),
      cancel: (id, reason, options) => this.cancel(id, reason, options),
    };
  }

  declare(name: string, options: JobOptions, handler: Handler<never> | undefined): Job {
    const { input, schedule, ...rest } = options;
    if (String(name).includes("*"))
      throw fault("NT_OPTION", { expected: "a job name without `*`", got: `\`${name}\`` });
    const check = input === undefined ? {} : { check: (stored: unknown) => job.check(stored) };
    const job: Job = new Job(this.#jobHost, checkName("job name", name), input, (batchOptions, batchHandler) => {
      this.#host.remove(name);
      this.#host.add({ ...batchConsumer(JOBS, name, { ...rest, ...batchOptions }, batchHandler), ...check });
    });
    const elsewhere = handler === undefined ? { elsewhere: true as const } : {};
    this.#host.add({ ...consumer(JOBS, name, rest, handler ?? notHere), ...elsewhere, ...check });
    const message: SlotMessage = (topic, value, { headers, ...options }) =>
      this.#host.accepting.made({ ...parcel(topic, value, options), headers });
    this.#host.schedules.addJob({ name, check: (value) => job.check(value), message });
    if (schedule !== undefined) this.#schedule(job, schedule, message);
    return job;
  }

  async cancel(id: string, reason = "by hand", options: CancelOptions = {}): Promise<CancelOutcome> {
    checkOptions("cancel()", options, ["children"]);
    const store = await this.#host.ready();
    const { cancelled, ran, parents } = await store.cancel(id, reason, options.children);
    if (parents.length > 0 && (await store.children.wake(parents)) > 0) this.#host.hint();
    if (ran) {
      this.#host.checkClaims();
      await store.hint(CANCELLED);
    }
    if (cancelled > 0) return "cancelled";
    const { kind } = (await store.outcomes([id])).get(id) ?? { kind: "unknown" };
    return kind === "outstanding" ? "unknown" : kind;
  }

  async pause(name: string, paused: boolean): Promise<void> {
    if (await (await this.#host.ready()).pause(name, paused)) return;
    throw fault("NT_NOT_FOUND", { expected: "the name of a consumer or job", got: `\`${name}\`` });
  }

  stop(): void {
    this.#outcomes.stop();
  }

  /** Its messages are made as the job makes its own, and their inputs checked like any other. */
  #schedule(job: Job, { input, ...timing }: JobSchedule, message: SlotMessage): void {
    const make = async (slot: Slot): Promise<unknown> => {
      const value: unknown = typeof input === "function" ? await input(slot) : (input ?? slot);
      await job.check(value);
      return value;
    };
    this.#host.schedules.add(job.name, { ...timing, topic: job.name, input: make }, message);
  }
}

function notHere(): never {
  throw new Error("a job without a handler was claimed");
}
