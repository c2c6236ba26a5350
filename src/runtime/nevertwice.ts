import { randomUUID } from "node:crypto";
import { defaults } from "../core/defaults.ts";
import { checkOptions, fault } from "../core/errors.ts";
import type { Clock, Random } from "../core/ports/clock.ts";
import type { Logger } from "../core/ports/logger.ts";
import type { OutboxTx } from "../core/ports/outbox.ts";
import type { SchemaInput, SchemaOutput, StandardSchema } from "../core/ports/schema.ts";
import type { Source } from "../core/ports/source.ts";
import type { Store } from "../core/ports/store.ts";
import { checkName, JOBS, OWN } from "../core/topic.ts";
import { Accepting } from "./accepting.ts";
import { ownParcel } from "./arrival.ts";
import type { BatchHandler, BatchOptions } from "./batch-face.ts";
import { batchConsumer, consumer, type Consumer } from "./consumer.ts";
import { cron } from "./cron.ts";
import type {
  ConsumerOptions,
  Handler,
  HandlerContext,
  InboxOptions,
  NevertwiceOptions,
  OutboxOptions,
  SendOptions,
  Sent,
} from "./face.ts";
import { Hints } from "./hints.ts";
import { Inbox, type InboxHost } from "./inbox.ts";
import type { CancelOptions, CancelOutcome, Job, JobOptions } from "./job.ts";
import { Jobs } from "./jobs.ts";
import { type OpenStore, Opening, OPTIONS } from "./opening.ts";
import { type Readiness, readiness } from "./readiness.ts";
import { type RunTimeSchedules, type ScheduleOptions, Schedules } from "./schedules.ts";
import { consoleLogger, systemClock, systemRandom } from "./system.ts";
import { Tally } from "./tally.ts";
import { type RunDueOptions, Working } from "./working.ts";

/**
 * Receives, processes and sends messages so that none is lost and none takes effect twice.
 *
 * Guarantee: docs/guarantees.md. Constructing does no I/O; the database is opened at first use.
 * Throws NT_OPTION for an option it does not know, and NT_DATABASE_MISSING at first use.
 */
export class Runtime {
  /** The name of the schema that holds the tables. */
  readonly schema: string;
  readonly dedupeDays: number;
  readonly inboxes = new Map<string, Inbox<any>>();
  readonly consumers = new Map<string, Consumer>();
  /** The schedules at run time: set, remove, pause, resume, list. */
  readonly schedules: RunTimeSchedules;
  readonly #schedules: Schedules;
  readonly #options: NevertwiceOptions;
  readonly #opening: Opening;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #name = `${process.pid}-${randomUUID().slice(0, 8)}`;
  readonly #accepting: Accepting;
  /** By source and reason, with a space between: no source has one in its name. */
  readonly #refusals: Tally;
  readonly #hints: Hints;
  readonly #jobs: Jobs;
  readonly #working: Working;
  #stopped = false;

  constructor(options: NevertwiceOptions, open: OpenStore) {
    checkOptions("new Nevertwice()", options, OPTIONS);
    this.#options = options;
    this.schema = options.schema ?? defaults.schema;
    this.dedupeDays = options.dedupeDays ?? defaults.dedupeDays;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#logger = options.logger ?? consoleLogger;
    this.#opening = new Opening(options, this.schema, this.#logger, open, this.consumers);
    this.#accepting = new Accepting({
      clock: this.#clock,
      random: this.#random,
      store: () => this.ready(),
      hint: () => this.#hint(),
      hintLater: () => this.#hints.giveLater(() => this.#hint()),
    });
    this.schedules = this.#schedules = new Schedules({
      clock: this.#clock,
      logger: this.#logger,
      cron,
      store: () => this.ready(),
      message: (topic, input, { headers, ...options }) =>
        this.#accepting.made({ ...ownParcel(topic, input, options), headers }),
      hint: () => this.#hint(),
    });
    this.#jobs = new Jobs({
      clock: this.#clock,
      ready: () => this.ready(),
      accepting: this.#accepting,
      schedules: this.#schedules,
      add: (one) => this.#add(one),
      remove: (name) => this.consumers.delete(name),
      hint: () => this.#hint(),
      checkClaims: () => this.#working.worker?.checkClaims(),
    });
    const { retainDays = defaults.retainDays, leaseMs = defaults.leaseMs } = options;
    this.#working = new Working({
      ready: () => this.ready(),
      clock: this.#clock,
      random: this.#random,
      logger: this.#logger,
      worker: this.#name,
      leaseMs,
      hint: () => this.#hint(),
      consumers: this.consumers,
      schedules: this.#schedules,
      windows: { dedupeDays: this.dedupeDays, retainDays: Math.max(retainDays, this.dedupeDays) },
    });
    this.#refusals = new Tally(
      async (counts) =>
        (await this.ready()).countRefusals(
          Array.from(counts, ([name, refused]) => {
            const [source = "", reason = ""] = name.split(" ");
            return { source, reason, refused };
          }),
        ),
      defaults.refusalFlushMs,
      this.#clock,
    );
    this.#hints = new Hints(async () => this.#opening.opened?.hint(this.#name), this.#clock);
  }

  /**
   * A place where one provider's messages come in; `name` is the source of its messages.
   * Throws NT_OPTION when the name is taken.
   */
  inbox<Events extends object>(name: string, source: Source<Events>, options: InboxOptions = {}): Inbox<Events> {
    checkName("inbox name", name);
    checkOptions("inbox()", options, ["bodyLimitBytes", "tenant"]);
    if (name === OWN || name === JOBS || this.inboxes.has(name)) {
      throw fault("NT_OPTION", { expected: "an inbox name that is free", got: `\`${name}\`` });
    }
    const host: InboxHost = {
      clock: this.#clock,
      random: this.#random,
      logger: this.#logger,
      accept: (one) => this.#accepting.accept(one),
      countRefusal: (from, reason) => this.#refusals.add(`${from} ${reason}`),
      register: (from, topic, given, handler) => this.#register(from, topic, given, handler),
      registerBatch: (from, topic, given, handler) => this.#add(batchConsumer(from, topic, given, handler)),
    };
    const inbox = new Inbox(host, name, source, {
      bodyLimitBytes: options.bodyLimitBytes ?? defaults.bodyLimitBytes,
      tenant: options.tenant,
    });
    this.inboxes.set(name, inbox);
    return inbox;
  }

  /** Consumes our own messages of a topic, of `prefix.*`, or of `*`. Throws NT_OPTION and NT_CONSUMER_TWICE. */
  on<Event = any>(topic: string, handler: Handler<Event>): this;
  on<Event = any>(topic: string, options: ConsumerOptions, handler: Handler<Event>): this;
  on(topic: string, optionsOrHandler: ConsumerOptions | Handler<never>, handler?: Handler<never>): this {
    if (typeof optionsOrHandler === "function") this.#register(OWN, topic, {}, optionsOrHandler);
    else this.#register(OWN, topic, optionsOrHandler, handler as Handler<never>);
    return this;
  }

  /** As `on`, of many at once in one transaction; each member has an outcome of its own. */
  onBatch<Event = any>(topic: string, options: BatchOptions, handler: BatchHandler<Event>): this {
    this.#add(batchConsumer(OWN, topic, options, handler));
    return this;
  }

  /**
   * Declares a background job and, where a handler is given, runs it here once started. Without one it can be enqueued here
   * and is run by processes that declare it with one. Throws NT_OPTION and NT_CONSUMER_TWICE.
   */
  job<Schema extends StandardSchema<any, any>, Result>(
    name: string,
    options: JobOptions & { readonly input: Schema },
    handler?: (input: SchemaOutput<Schema>, context: HandlerContext) => Result | Promise<Result>,
  ): Job<SchemaInput<Schema>, Awaited<Result>, SchemaOutput<Schema>>;
  job<Input = any, Result = unknown>(
    name: string,
    options: JobOptions,
    handler?: (input: Input, context: HandlerContext) => Result | Promise<Result>,
  ): Job<Input, Awaited<Result>>;
  job(name: string, options: JobOptions, handler?: Handler<never>): Job {
    return this.#jobs.declare(name, options, handler);
  }

  /**
   * Ends what is outstanding of a message or job, waiting or running, in any process. Its execution, if there is one, is told
   * by its `signal`, and what it wrote through `tx` is rolled back. What is being committed meanwhile is completed. Its children
   * go on, unless they are to be cancelled with it.
   */
  cancel(id: string, options: { readonly reason?: string } & CancelOptions = {}): Promise<CancelOutcome> {
    const { reason, ...rest } = options;
    return this.#jobs.cancel(id, reason, rest);
  }

  /** Stops the claims for a consumer or job, in all processes; what it has is kept. Throws NT_NOT_FOUND. */
  pause(name: string): Promise<void> {
    return this.#jobs.pause(name, true);
  }

  /** Undoes `pause`. Throws NT_NOT_FOUND. */
  async resume(name: string): Promise<void> {
    await this.#jobs.pause(name, false);
    this.#hint();
  }

  /**
   * Sends to a topic of our own, by default of its name, at each moment that a cron expression names in a zone: once a slot, however
   * many processes declare it. docs/schedules.md has the rules. Throws NT_CRON, NT_ZONE and NT_OPTION.
   */
  schedule(name: string, options: ScheduleOptions): this {
    this.#schedules.add(name, options);
    return this;
  }

  /**
   * Sends to a topic of our own. Resolves after the COMMIT that holds the message and its deliveries; with a `key`, a
   * second call within the dedupe window is absorbed. With `tx` it is written in your transaction, leaves only if that
   * commits, and a rollback sends nothing. Throws NT_PAYLOAD, NT_OPTION, NT_SEND_TX, and NT_ACCEPT_UNKNOWN.
   */
  async send(topic: string, payload: unknown, options: OutboxOptions = {}): Promise<Sent> {
    const { tx, ...rest } = options;
    const [sent] = await this.sendMany([{ topic, payload, ...rest }], tx === undefined ? {} : { tx });
    return sent as Sent;
  }

  /** Sends many; they share their commits, or go into your transaction together. The answers are in the order of the messages. */
  async sendMany(
    messages: readonly ({ readonly topic: string; readonly payload: unknown } & SendOptions)[],
    options: { readonly tx?: OutboxTx } = {},
  ): Promise<Sent[]> {
    checkOptions("sendMany()", options, ["tx"]);
    return this.#accepting.sendMany(messages, options.tx);
  }

  /** Opens the database, brings the schema up to date as `migrate` says, and declares the consumers. */
  async ready(): Promise<Store> {
    if (this.#stopped) throw fault("NT_NOT_STARTED", { got: "a call after stop()" });
    return this.#opening.ready();
  }

  /** Begins to work on what is due for the consumers declared so far. */
  start(): Promise<void> {
    return this.#working.start();
  }

  /**
   * For a cron where no process stays up: works on what is due until nothing is, or until `maxMs`, and does a piece of
   * housekeeping where time is left. After `maxMs` nothing is begun; handlers that run then have `graceMs` to end before they
   * are rolled back for the next call. Safe beside workers and beside itself. Throws NT_OPTION in a process that has started.
   */
  async runDue(options: RunDueOptions): Promise<{ readonly ran: number; readonly more: boolean }> {
    checkOptions("runDue()", options, ["maxMs", "graceMs"]);
    return this.#working.runDue(options);
  }

  /**
   * Stops gracefully: claims no more, lets running handlers end until the deadline, gives back the rest, closes the
   * database. Handlers that do not end in time are rolled back and run elsewhere.
   */
  async stop(options: { readonly deadlineMs?: number } = {}): Promise<void> {
    if (this.#stopped) return;
    this.#hints.stop();
    this.#jobs.stop();
    await this.#working.stop(options.deadlineMs ?? defaults.stopDeadlineMs);
    await this.#accepting.drained();
    if (this.#opening.opened !== undefined) await Promise.all([this.#refusals.flush(), this.#accepting.flush()]);
    this.#stopped = true;
    await this.#opening.close();
  }

  /** Whether this process can do its work now: the database answers, and the worker, where there is one, goes round. */
  readiness(): Promise<Readiness> {
    return readiness(() => this.ready(), this.#working.worker, this.#clock);
  }

  #hint(): void {
    this.#working.worker?.wake();
    this.#hints.give();
  }

  #register(source: string, topic: string, options: ConsumerOptions, handler: Handler<never>): void {
    this.#add(consumer(source, topic, options, handler));
  }

  #add(declared: Consumer): void {
    if (this.consumers.has(declared.name) && process.env["NODE_ENV"] !== "development") {
      throw fault("NT_CONSUMER_TWICE", { got: `\`${declared.name}\` twice` });
    }
    if (this.#working.worker !== undefined) {
      throw fault("NT_OPTION", { expected: "consumers declared before start()", got: `\`${declared.name}\` after it` });
    }
    this.consumers.set(declared.name, declared);
    this.#opening.changed();
  }
}
