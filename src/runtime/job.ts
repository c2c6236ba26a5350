import { checkOptions, fault } from "../core/errors.ts";
import type { OutboxTx } from "../core/ports/outbox.ts";
import type { SchemaIssue, StandardSchema } from "../core/ports/schema.ts";
import type { Put, Unique } from "../core/ports/store.ts";
import { JOBS } from "../core/topic.ts";
import { bytesDigest, checkKey, checkSpan, type Parcel, payloadBytes } from "./arrival.ts";
import type { BatchHandler, BatchOptions } from "./batch-face.ts";
import type { ConsumerOptions } from "./face.ts";
import type { ScheduleOptions } from "./schedules.ts";

export interface JobOptions extends Omit<ConsumerOptions, "consumer"> {
  /** Checks inputs: any Standard Schema (zod, valibot, arktype). @default anything that JSON can hold */
  readonly input?: StandardSchema<any, any>;
  /** Enqueues one at each slot, under the slot as its key: docs/schedules.md. */
  readonly schedule?: JobSchedule;
}

/** When a job is enqueued by itself, and with what: its `input` is checked as any other. */
export type JobSchedule = Omit<ScheduleOptions, "topic">;

export interface EnqueueOptions {
  /** Enqueued again under the same key it is absorbed, for as long as the ledger remembers (45 days by default). */
  readonly key?: string;
  /** First due this much later. */
  readonly delayMs?: number;
  /** First due then; at once where that has passed. */
  readonly runAt?: Date;
  /** -2, -1, 0, 1 or 2: higher ones first. @default 0 */
  readonly priority?: -2 | -1 | 0 | 1 | 2;
  /** Cancelled, with the reason kept, if it has not begun to run this long after it fell due. @default never */
  readonly expireAfterMs?: number;
  readonly tenant?: string;
  /** The key, or without one the input itself, is unique only while another one is there, or for a window. */
  readonly unique?: UniqueOptions;
}

export interface UniqueOptions {
  /** While another one waits to run, or waits or runs. */
  readonly while?: "waiting" | "outstanding";
  /** Or so long from the one that was enqueued first, whatever became of that. */
  readonly windowMs?: number;
  /**
   * ignore: nothing happens (throttle). replace: the one that waits is cancelled, and this one takes its place (debounce, with
   * `delayMs`). reschedule: the one that waits gets this one's time. One that runs is always left as it is. @default "ignore"
   */
  readonly onConflict?: "ignore" | "replace" | "reschedule";
}

/** What became of one `enqueue`. */
export interface Enqueued<Result> {
  /** Of the job that there is now: this one, or the one that was there. */
  readonly id: string;
  /**
   * accepted: it is there. duplicate, conflict: its key was known, with the same input or another. ignored, rescheduled,
   * replaced: its unique key was held, and this is what became of the holder.
   */
  readonly kind: Exclude<Put["kind"], "replayed">;
  /** See `Jobs.result`. */
  result(options?: ResultOptions): Promise<Result>;
  /** See `Jobs.cancel`. */
  cancel(reason?: string, options?: CancelOptions): Promise<CancelOutcome>;
}

export interface ResultOptions {
  /** @default 60000 */
  readonly timeoutMs?: number;
}

export interface CancelOptions {
  /** Whether the children of the job are cancelled too, and theirs. @default false: they go on */
  readonly children?: boolean;
}

/** `cancelled`: it has ended now, and if it was running it settles nothing. The others: it had ended so before. */
export type CancelOutcome = "cancelled" | "completed" | "dead" | "unknown";

export interface JobHost {
  put(parcels: readonly Parcel[], tx: OutboxTx | undefined): Promise<readonly Put[]>;
  result(id: string, options: ResultOptions | undefined): Promise<unknown>;
  cancel(id: string, reason: string | undefined, options: CancelOptions | undefined): Promise<CancelOutcome>;
}

const OPTIONS = ["key", "tx", "delayMs", "runAt", "priority", "expireAfterMs", "tenant", "unique"] as const;

/**
 * A background job: a message of our own with one consumer, the job's handler.
 *
 * Guarantee: once `enqueue` has resolved it is durable, and is run until it completes, gives up (a dead letter), is cancelled or
 * expires; what its handler writes through `tx` takes effect once.
 */
export class Job<Input = any, Result = unknown, Checked = Input> {
  readonly name: string;
  readonly #schema: StandardSchema | undefined;
  readonly #host: JobHost;
  readonly #register: (options: BatchOptions, handler: BatchHandler<any>) => void;

  constructor(
    host: JobHost,
    name: string,
    schema: StandardSchema | undefined,
    register: (options: BatchOptions, handler: BatchHandler<any>) => void,
  ) {
    this.#register = register;
    this.#host = host;
    this.name = name;
    this.#schema = schema;
  }

  /**
   * Enqueues one. Resolves after the COMMIT that holds it; with `tx` it is written in that transaction (your own, or a
   * handler's) and leaves only if it commits. Throws NT_JOB_INPUT, NT_PAYLOAD, NT_OPTION, NT_SEND_TX, NT_ACCEPT_UNKNOWN.
   */
  async enqueue(
    input: Input,
    options: EnqueueOptions & { readonly tx?: OutboxTx | undefined } = {},
  ): Promise<Enqueued<Result>> {
    const { tx, ...rest } = options;
    const [one] = await this.enqueueMany([{ input, ...rest }], { tx });
    return one as Enqueued<Result>;
  }

  /** Enqueues many: all of them are checked first; they share their commits, or go into your transaction together. */
  async enqueueMany(
    all: readonly ({ readonly input: Input } & EnqueueOptions)[],
    options: { readonly tx?: OutboxTx | undefined } = {},
  ): Promise<Enqueued<Result>[]> {
    checkOptions("enqueueMany()", options, ["tx"]);
    const parcels: Parcel[] = [];
    for (const { input, ...rest } of all) {
      await this.check(input);
      parcels.push(parcel(this.name, input, rest));
    }
    const put = await this.#host.put(parcels, options.tx);
    return put.map(({ id, kind }) => ({ kind: kind === "replayed" ? "duplicate" : kind, ...this.of(id) }));
  }

  /** Runs it here, many at once, in place of a handler for each. Before `start`. */
  onBatch(options: Omit<BatchOptions, "consumer">, handler: BatchHandler<Checked>): this {
    this.#register(options, handler);
    return this;
  }

  /** A job that was enqueued before, by its id. */
  of(id: string): Omit<Enqueued<Result>, "kind"> {
    return {
      id,
      result: (options) => this.#host.result(id, options) as Promise<Result>,
      cancel: (reason, options) => this.#host.cancel(id, reason, options),
    };
  }

  /** What the schema makes of an input. Throws NT_JOB_INPUT with the path of each fault. */
  async check(input: unknown): Promise<unknown> {
    if (this.#schema === undefined) return input;
    const verdict = await this.#schema["~standard"].validate(input);
    if (verdict.issues === undefined) return verdict.value;
    throw fault("NT_JOB_INPUT", { got: `${this.name}: ${verdict.issues.slice(0, 5).map(faultIn).join("; ")}` });
  }
}

function faultIn({ path = [], message }: SchemaIssue): string {
  const words = path.map((part) => String(typeof part === "object" ? part.key : part));
  return words.length === 0 ? message : `${words.join(".")}: ${message}`;
}

/** A job's message as it is enqueued. */
export function parcel(name: string, input: unknown, options: EnqueueOptions): Parcel {
  checkOptions("enqueue()", options, OPTIONS);
  const { key, delayMs, runAt, priority, expireAfterMs, tenant = "", unique } = options;
  if (key !== undefined) checkKey(key);
  if (delayMs !== undefined) checkSpan("delayMs", delayMs);
  if (expireAfterMs !== undefined) checkSpan("expireAfterMs", expireAfterMs);
  if (runAt !== undefined && delayMs !== undefined) {
    throw fault("NT_OPTION", { expected: "delayMs or runAt, not both", got: "both" });
  }
  if (runAt !== undefined && !(runAt instanceof Date && Number.isFinite(runAt.getTime()))) {
    throw fault("NT_OPTION", { expected: "runAt as a valid Date", got: String(runAt) });
  }
  if (priority !== undefined && ![-2, -1, 0, 1, 2].includes(priority)) {
    throw fault("NT_OPTION", { expected: "priority as -2, -1, 0, 1 or 2", got: String(priority) });
  }
  const body = payloadBytes(input);
  return {
    tenant,
    source: JOBS,
    topic: name,
    // A key that is unique for a while is not one that the ledger remembers.
    key: unique === undefined ? key : undefined,
    headers: {},
    body,
    comparable: body,
    ...(delayMs === undefined ? {} : { delayMs }),
    ...(runAt === undefined ? {} : { runAtMs: runAt.getTime() }),
    ...(priority === undefined ? {} : { priority }),
    ...(expireAfterMs === undefined ? {} : { expireAfterMs }),
    ...(unique === undefined ? {} : { unique: uniqueOf(unique, key ?? bytesDigest(body)) }),
  };
}

function uniqueOf(given: UniqueOptions, key: string): Unique {
  checkOptions("unique", given, ["while", "windowMs", "onConflict"]);
  const { windowMs, onConflict = "ignore" } = given;
  if ((given.while === undefined) === (windowMs === undefined)) {
    throw fault("NT_OPTION", { expected: "unique with either `while` or `windowMs`", got: JSON.stringify(given) });
  }
  if (given.while !== undefined && !["waiting", "outstanding"].includes(given.while)) {
    throw fault("NT_OPTION", { expected: 'unique.while as "waiting" or "outstanding"', got: String(given.while) });
  }
  if (!["ignore", "replace", "reschedule"].includes(onConflict)) {
    throw fault("NT_OPTION", {
      expected: 'onConflict as "ignore", "replace" or "reschedule"',
      got: String(onConflict),
    });
  }
  return {
    key,
    onConflict,
    ...(given.while === undefined ? {} : { while: given.while }),
    ...(windowMs === undefined ? {} : { windowMs: checkSpan("windowMs", windowMs) }),
  };
}
