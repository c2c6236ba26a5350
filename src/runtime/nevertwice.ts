import { randomUUID } from "node:crypto";
import { defaults } from "../core/defaults.ts";
import { checkOptions, fault } from "../core/errors.ts";
import type { Clock, Random } from "../core/ports/clock.ts";
import type { Logger } from "../core/ports/logger.ts";
import type { OutboxTx } from "../core/ports/outbox.ts";
import type { Source } from "../core/ports/source.ts";
import type { Store } from "../core/ports/store.ts";
import { checkName, OWN } from "../core/topic.ts";
import { Accepting } from "./accepting.ts";
import { consumer, type Consumer } from "./consumer.ts";
import { cron } from "./cron.ts";
import type {
  ConsumerOptions,
  Handler,
  InboxOptions,
  NevertwiceOptions,
  OutboxOptions,
  SendOptions,
  Sent,
} from "./face.ts";
import { Hints } from "./hints.ts";
import { Housekeeping } from "./housekeeping.ts";
import { Inbox, type InboxHost } from "./inbox.ts";
import { opened, type OpenStore } from "./opening.ts";
import { CHANGED, type RunTimeSchedules, type ScheduleOptions, Schedules } from "./schedules.ts";
import { consoleLogger, systemClock, systemRandom } from "./system.ts";
import { Tally } from "./tally.ts";
import { Worker } from "./worker.ts";

const OPTIONS = [
  "database",
  "schema",
  "migrate",
  "preparedStatements",
  "logger",
  "clock",
  "random",
  "leaseMs",
  "dedupeDays",
  "retainDays",
] as const;

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
  readonly #open: OpenStore;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #name = `${process.pid}-${randomUUID().slice(0, 8)}`;
  readonly #accepting: Accepting;
  /** By source and reason, with a space between: no source has one in its name. */
  readonly #refusals: Tally;
  readonly #hints: Hints;
  #store: Promise<Store> | undefined;
  #opened: Store | undefined;
  #undeclared = true;
  #declaring: Promise<void> | undefined;
  #worker: Worker | undefined;
  #unlisten: (() => Promise<void>) | undefined;
  #housekeeping: Housekeeping | undefined;
  #stopped = false;

  constructor(options: NevertwiceOptions, open: OpenStore) {
    checkOptions("new Nevertwice()", options, OPTIONS);
    this.#options = options;
    this.#open = open;
    this.schema = options.schema ?? defaults.schema;
    this.dedupeDays = options.dedupeDays ?? defaults.dedupeDays;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#logger = options.logger ?? consoleLogger;
    this.#accepting = new Accepting({
      clock: this.#clock,
      random: this.#random,
      store: () => this.ready(),
      hint: () => this.#hint(),
      hintLater: () => this.#hints.giveLater(() => this.#hint()),
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
    this.schedules = this.#schedules = new Schedules({
      clock: this.#clock,
      logger: this.#logger,
      cron,
      store: () => this.ready(),
      message: (topic, input, options) => this.#accepting.made(topic, input, options),
      hint: () => this.#hint(),
    });
    this.#hints = new Hints(async () => this.#opened?.hint(this.#name), this.#clock);
  }

  /**
   * A place where one provider's messages come in; `name` is the source of its messages.
   * Throws NT_OPTION when the name is taken.
   */
  inbox<Events extends object>(name: string, source: Source<Events>, options: InboxOptions = {}): Inbox<Events> {
    checkName("inbox name", name);
    checkOptions("inbox()", options, ["bodyLimitBytes", "tenant"]);
    if (name === OWN || this.inboxes.has(name)) {
      throw fault("NT_OPTION", { expected: "an inbox name that is free", got: `\`${name}\`` });
    }
    const host: InboxHost = {
      clock: this.#clock,
      random: this.#random,
      logger: this.#logger,
      accept: (one) => this.#accepting.accept(one),
      countRefusal: (from, reason) => this.#refusals.add(`${from} ${reason}`),
      register: (from, topic, given, handler) => this.#register(from, topic, given, handler),
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
    this.#store ??= this.#connect();
    let store: Store;
    try {
      store = await this.#store;
    } catch (error) {
      // The next call tries again: a database that was away at start must not take the process with it.
      this.#store = undefined;
      throw error;
    }
    // Whoever comes while it is under way waits for it too: a message accepted before its consumer's row has no delivery.
    while (this.#undeclared || this.#declaring !== undefined) {
      await (this.#declaring ??= this.#declare(store).finally(() => (this.#declaring = undefined)));
    }
    return store;
  }

  /** Begins to work on what is due for the consumers declared so far. */
  async start(): Promise<void> {
    const store = await this.ready();
    await this.#schedules.declare(store);
    if (this.#worker !== undefined) return;
    const host = {
      store,
      clock: this.#clock,
      random: this.#random,
      logger: this.#logger,
      worker: this.#name,
      leaseMs: this.#options.leaseMs ?? defaults.leaseMs,
      hint: () => this.#hint(),
    };
    const worker = new Worker(host, [...this.consumers.values()]);
    this.#worker = worker;
    this.#unlisten = await store.listen((from) => {
      if (from === CHANGED) this.#schedules.wake();
      else if (from !== this.#name) worker.wake();
    });
    worker.start();
    const retainDays = Math.max(this.#options.retainDays ?? defaults.retainDays, this.dedupeDays);
    const windows = { dedupeDays: this.dedupeDays, retainDays };
    this.#schedules.start(store);
    const consumers = (): Consumer[] => [...this.consumers.values()];
    this.#housekeeping = new Housekeeping(host, consumers, windows, () => this.#schedules.round(store));
  }

  /**
   * Stops gracefully: claims no more, lets running handlers end until the deadline, gives back the rest, closes the
   * database. Handlers that do not end in time are rolled back and run elsewhere.
   */
  async stop(options: { readonly deadlineMs?: number } = {}): Promise<void> {
    if (this.#stopped) return;
    this.#housekeeping?.stop();
    this.#hints.stop();
    await this.#unlisten?.();
    const deadlineMs = options.deadlineMs ?? defaults.stopDeadlineMs;
    await Promise.all([this.#schedules.stop(), this.#worker?.stop(deadlineMs)]);
    await this.#accepting.drained();
    if (this.#opened !== undefined) await Promise.all([this.#refusals.flush(), this.#accepting.flush()]);
    this.#stopped = true;
    const store = await this.#store?.catch(() => undefined);
    await store?.close();
  }

  /** Whether this process can do its work now: the database answers, and the worker, where there is one, goes round. */
  async readiness(): Promise<{
    ready: boolean;
    database: "answers" | "away";
    worker: "works" | "stands still" | "none";
  }> {
    const worker = this.#worker === undefined ? "none" : this.#worker.stuck ? "stands still" : "works";
    let cancel = (): void => {};
    const late = new Promise<never>((_, reject) => {
      cancel = this.#clock.after(2_000, () => reject(fault("NT_DATABASE_AWAY", { got: "no answer for 2 s" })));
    });
    try {
      await Promise.race([this.ready().then((store) => store.inspect()), late]);
      return { ready: worker !== "stands still", database: "answers", worker };
    } catch {
      return { ready: false, database: "away", worker };
    } finally {
      cancel();
    }
  }

  async #connect(): Promise<Store> {
    this.#opened = await opened(this.#options, this.schema, this.#logger, this.#open);
    return this.#opened;
  }

  async #declare(store: Store): Promise<void> {
    this.#undeclared = false;
    try {
      await store.declare([...this.consumers.values()]);
    } catch (error) {
      this.#undeclared = true;
      throw error;
    }
  }

  #hint(): void {
    this.#worker?.wake();
    this.#hints.give();
  }

  #register(source: string, topic: string, options: ConsumerOptions, handler: Handler<never>): void {
    const declared = consumer(source, topic, options, handler);
    if (this.consumers.has(declared.name) && process.env["NODE_ENV"] !== "development") {
      throw fault("NT_CONSUMER_TWICE", { got: `\`${declared.name}\` twice` });
    }
    if (this.#worker !== undefined) {
      throw fault("NT_OPTION", { expected: "consumers declared before start()", got: `\`${declared.name}\` after it` });
    }
    this.consumers.set(declared.name, declared);
    this.#undeclared = true;
  }
}
