import type { RetryPolicy } from "../core/backoff.ts";
import type { AskChildren } from "./children-face.ts";
import type { Clock, Random } from "../core/ports/clock.ts";
import type { Logger } from "../core/ports/logger.ts";
import type { OutboxTx } from "../core/ports/outbox.ts";
import type { QueryResult, Store, StoredMessage } from "../core/ports/store.ts";

/** A message as a handler sees it. */
export interface Message extends Omit<StoredMessage, "body"> {
  /** The body as it came, byte for byte. */
  readonly bytes: Uint8Array;
}

/**
 * The transaction of this delivery. What is written through it commits with the delivery's completion, or not at all.
 * Opened at first use. Extended protocol only; transaction control is refused.
 */
export interface Tx {
  query<Row = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<QueryResult<Row>>;
}

export interface StepTools {
  /** The same for every attempt, replays included: hand it to the provider. */
  readonly idempotencyKey: string;
  readonly signal: AbortSignal;
  /** From 1: how often this step was begun, this time included. Above 1 an earlier request may have left. */
  readonly tries: number;
}

export interface Step {
  /**
   * Runs an outside effect, records its result, and never runs it again once that is recorded. An interrupted step whose
   * request may have left is tried again with the same idempotency key.
   * Results are what JSON holds, at most 1 MiB. Throws NT_STEP_RESULT, NT_STEP_TWICE, NT_STEP_IN_TX, NT_CLAIM_LOST, and
   * NT_STEPS_PAUSED after the database went back in time: the delivery is then put off, whatever the handler makes of it.
   */
  run<Result>(name: string, effect: (tools: StepTools) => Result | Promise<Result>): Promise<Result>;
}

export interface SendOptions {
  /** Sent again under the same key it is absorbed. In a handler the key is scoped to (message, consumer). */
  readonly key?: string;
  /** First due this much later. */
  readonly delayMs?: number;
  readonly tenant?: string;
}

export interface OutboxOptions extends SendOptions {
  /**
   * A transaction of yours, from pg, postgres.js, Drizzle, Kysely, Knex, TypeORM or Prisma: the message leaves only if
   * it commits. Nobody can be told before that: workers find it within two seconds where this process lives on, else at
   * their next poll.
   */
  readonly tx?: OutboxTx;
}

export interface Sent {
  readonly id: string;
  readonly kind: "accepted" | "duplicate" | "conflict";
}

export interface HandlerContext {
  readonly message: Message;
  readonly consumer: string;
  readonly deliveryId: string;
  /** From 1. */
  readonly attempt: number;
  readonly tx: Tx;
  readonly step: Step;
  /** Sends to a topic of our own; leaves only if this delivery completes. */
  readonly send: (topic: string, payload: unknown, options?: SendOptions) => Promise<Sent>;
  /** Hands work to jobs and waits for them without holding anything. */
  readonly children: AskChildren;
  /** Aborted on timeout, lost lease and shutdown. */
  readonly signal: AbortSignal;
  /**
   * Tells how far this execution is, from 0 to 1, with a line of text or without: kept with the message's history and shown.
   * Without a line it is written once a second at most. Throws NT_CLAIM_LOST.
   */
  readonly progress: (done: number, line?: string) => Promise<void>;
  readonly log: Logger;
}

export type Handler<Event> = (event: Event, context: HandlerContext) => unknown;

export interface ConsumerOptions {
  /** @default `<source>/<topic>` */
  readonly consumer?: string;
  /** Per attempt. @default 60000 */
  readonly timeoutMs?: number;
  /** Handlers of this consumer that run at the same time in this process. @default 10 */
  readonly concurrency?: number;
  readonly retry?: Partial<RetryPolicy>;
  /**
   * Whether short handlers share a transaction. false: each delivery has one of its own. true: also where `tx` is handed over
   * to a library. @default true, but for deliveries whose `tx` is handed over
   */
  readonly group?: boolean;
}

export interface NevertwiceOptions {
  /** A URL, `embedded:<folder>`, a pool of the shape of `pg.Pool`, a ready store, or a function that returns one at first use. */
  readonly database: Database | (() => Database | undefined) | undefined;
  /** @default "nevertwice" */
  readonly schema?: string;
  /** @default "auto", and "check" where NODE_ENV is "production" */
  readonly migrate?: "auto" | "check";
  /**
   * Accepts and handlers' statements are prepared once a connection, which makes short ones a third faster. Not behind a
   * transaction pooler (PgBouncer, Supavisor), which would lose them. @default false, and true on `embedded:`
   */
  readonly preparedStatements?: boolean;
  readonly logger?: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
  /** @default 10000 */
  readonly leaseMs?: number;
  /** Keys are remembered at least this long. @default 45 */
  readonly dedupeDays?: number;
  /** Messages and their history are kept at least this long. @default 45 */
  readonly retainDays?: number;
}

/** The shape of `pg.Pool` that we use: any pool of that shape will do. */
export interface PoolLike {
  connect(): Promise<any>;
  end(): Promise<void>;
  on(event: "error", listener: (error: Error) => void): unknown;
  on(event: "connect", listener: (client: any) => void): unknown;
}

export type Database = string | PoolLike | Store;

export interface InboxOptions {
  /** @default 1048576 */
  readonly bodyLimitBytes?: number;
  /** Who the message belongs to. @default "" */
  readonly tenant?: (request: Request) => string;
}
