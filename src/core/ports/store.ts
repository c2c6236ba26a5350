/**
 * The port to the database. One SQL serves every adapter; `test/conformance/store.ts` proves each.
 *
 * Words: a *claim* is the random token of one execution. Every write about a delivery names its claim and is a no-op
 * when the delivery has another; what comes back says which rows were really written.
 */

import type { ChildrenStore } from "./children.ts";
import type { OutboxTx } from "./outbox.ts";
import type { ScheduleStore } from "./schedules.ts";

/** A message on its way in. Hashes are the first 16 bytes of sha-256, in hex. */
export interface Arrival {
  /** UUIDv7 made by this process. */
  readonly id: string;
  readonly tenant: string;
  readonly source: string;
  readonly key: string;
  readonly topic: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** Undefined, as `bodyHash`, where it has no key of its own: then its id alone tells a second offer of it. */
  readonly keyHash?: string;
  readonly bodyHash?: string;
  /** Of (tenant, source, signed bytes), where the signature does not cover the id. */
  readonly replayHash?: string;
  /** Whether a suspected replay is refused (nothing stored) instead of marked. */
  readonly refuseReplay?: boolean;
  /** First due this much later. */
  readonly delayMs?: number;
  /** First due then, in milliseconds since the epoch. */
  readonly runAtMs?: number;
  /** Of a job: from -2 to 2, higher ones first. */
  readonly priority?: number;
  /** It is not begun for the first time any more when this much has passed since it fell due. */
  readonly expireAfterMs?: number;
  /** Of a job: its key is unique for a while, instead of as long as the ledger remembers. */
  readonly unique?: Unique;
}

/** While another job of this key waits, or waits or runs, or for a window; and what becomes of the one that is there. */
export interface Unique {
  readonly key: string;
  readonly while?: "waiting" | "outstanding";
  readonly windowMs?: number;
  readonly onConflict: "ignore" | "replace" | "reschedule";
}

export type Acceptance =
  | { readonly kind: "accepted"; readonly id: string; readonly suspectedReplayOf?: string }
  /** The key is known with the same body. `id` is the first message's. */
  | { readonly kind: "duplicate"; readonly id: string }
  /** The key is known with another body, which is kept as evidence. */
  | { readonly kind: "conflict"; readonly id: string }
  /** The signed bytes are known under another key, and `refuseReplay` was set. */
  | { readonly kind: "replayed"; readonly id: string };

/** What else can become of a job whose key is unique for a while. */
export type UniqueOutcome =
  /** The key is held. `id` is the holder's, which was left as it is, or got the new time. */
  | { readonly kind: "ignored" | "rescheduled"; readonly id: string }
  /** The holder of the key was cancelled in favour of this one. */
  | { readonly kind: "replaced"; readonly id: string };

export type Put = Acceptance | UniqueOutcome;

export interface ConsumerDeclaration {
  readonly name: string;
  readonly source: string;
  readonly topic: string;
  readonly topicLike: string;
}

export interface Want {
  readonly consumer: string;
  readonly limit: number;
  /** `dueAt` of the last one claimed on each level: rows due a second before it are skipped. Undefined sweeps from the start. */
  readonly dueFrom: ReadonlyMap<number, number> | undefined;
}

/** Names one execution. */
export interface Claim {
  readonly deliveryId: string;
  readonly messageId: string;
  /** The random 64-bit token, as text. */
  readonly claim: string;
}

export interface Claimed extends Claim {
  readonly consumer: string;
  /** This execution's number, from 1. */
  readonly attempt: number;
  /** Its last lease ran out: it has a transaction of its own. */
  readonly alone: boolean;
  /** Its lease ran out more than once: no other suspect runs beside it, and this execution is counted already. */
  readonly suspect: boolean;
  /** Seconds since the epoch, on the database's clock: only ever handed back to it, as `dueFrom`. */
  readonly dueAt: number;
  readonly priority: number;
  /** Its last moment has passed and it never ran: it is not to be begun any more. */
  readonly expired: boolean;
  readonly message: StoredMessage;
}

export interface StoredMessage {
  readonly id: string;
  readonly tenant: string;
  readonly source: string;
  readonly key: string;
  readonly topic: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  readonly receivedAt: Date;
  readonly suspectedReplayOf?: string;
}

/**
 * How one execution ends. `completed`, `dead` and `cancelled` end the delivery; `retry` makes it due again after `delayMs`
 * and counts; `interrupted` gives it back, at once or after `delayMs`: recorded when it had started (put off time and again
 * for the same reason: once), never counted.
 */
export interface Settlement extends Claim {
  readonly outcome: "completed" | "retry" | "dead" | "cancelled" | "interrupted";
  readonly delayMs?: number;
  readonly error?: string;
  /** What a job returned, as JSON. */
  readonly result?: string;
  /** How long it ran, in milliseconds; undefined when it never started. */
  readonly ranMs?: number;
  readonly reruns?: number;
}

export type StepBegun =
  /** The intent is durable; `tries` counts this one. */
  | { readonly kind: "begun"; readonly tries: number }
  | { readonly kind: "done"; readonly result: unknown }
  /** The claim is no longer current. */
  | { readonly kind: "superseded" }
  /** Nobody has confirmed the timeline that the database is on: there is no intent, and no request may leave. */
  | { readonly kind: "paused"; readonly timeline: string };

/** How a job ended, or that it has not; `unknown` where nothing is kept of it. */
export type Outcome =
  | { readonly kind: "outstanding" | "unknown" }
  | { readonly kind: "completed"; readonly result: unknown }
  | { readonly kind: "dead" | "cancelled"; readonly error: string };

export interface Cancelled {
  readonly cancelled: number;
  /** Whether one of them was claimed: its execution is to be told. */
  readonly ran: boolean;
  /** Messages whose children ended: to be woken. */
  readonly parents: readonly string[];
}

export interface QueryResult<Row = Record<string, unknown>> {
  readonly rows: Row[];
  readonly rowCount: number | null;
}

/** What a library may want of its rows. */
export interface ResultShape {
  /** Rows as arrays, in the order of the columns. */
  readonly rowMode?: "array";
  /** The driver's own: which parser for which type. */
  readonly types?: unknown;
}

export interface StatementResult extends QueryResult<any> {
  readonly command: string;
  /** The driver's own: name and type of each column. */
  readonly fields: readonly unknown[];
}

/** Per-transaction limits, set with SET LOCAL. Milliseconds. */
export interface TransactionLimits {
  readonly idleMs: number;
  readonly lockMs: number;
  readonly statementMs: number;
}

/**
 * A transaction on a connection of its own: READ COMMITTED, with a lane token that every settlement inside it
 * requires, so that a handler which ended the transaction itself cannot settle in autocommit.
 */
export interface Transaction {
  /** The user's statement: extended protocol only. */
  query(text: string, values?: readonly unknown[], shape?: ResultShape): Promise<StatementResult>;
  /** A savepoint of a library's nested transaction; the name is ours. */
  nest(act: "savepoint" | "release" | "rollback to", name: string): Promise<void>;
  /** Set before the next statement, and sent with it. */
  savepoint(name: string): void;
  /** Undoes what came after the savepoint; nothing, when no statement did. */
  rollbackTo(name: string): Promise<void>;
  send(arrivals: readonly Arrival[]): Promise<readonly Put[]>;
  /** Settles in this transaction; the ids of the deliveries that were really settled. */
  settle(settlements: readonly Settlement[]): Promise<ReadonlySet<string>>;
  /** Settles all and commits, or neither: the settlement raises an error when a row is missing. Then as `commit`. */
  settleAndCommit(settlements: readonly Settlement[]): Promise<"committed" | "rolled-back" | "unknown">;
  /** Why it was rolled back, where the database gave a reason. */
  readonly rollbackCause: unknown;
  /** Reads the command tag. `unknown`: no answer within the client's deadline; the connection is destroyed. */
  commit(): Promise<"committed" | "rolled-back" | "unknown">;
  /**
   * Rolls back and gives the connection back; destroys it when that fails. In a hurry a statement that is under way is not
   * waited for: the connection goes at once, and the server rolls back when the statement has ended. Never throws.
   */
  rollback(hurry?: boolean): Promise<void>;
}

export interface Durability {
  readonly serverVersion: string;
  readonly fsync: string;
  readonly synchronousCommit: string;
  readonly inRecovery: boolean;
}

export interface Store {
  /** One connection only: a step while `tx` is open would wait for itself. */
  readonly singleConnection: boolean;
  readonly schedules: ScheduleStore;
  readonly children: ChildrenStore;
  /** Connects, reports, and throws NT_DATABASE_STANDBY on a standby. */
  inspect(): Promise<Durability>;
  /**
   * `auto` applies what is missing, safe when ten processes start at once; `check` throws NT_SCHEMA_MISSING. Both work on a newer schema,
   * as old processes have to during a deploy, unless one of its migrations says that this version cannot: NT_SCHEMA_NEWER.
   */
  migrate(mode: "auto" | "check"): Promise<void>;
  /** Registers what is new and marks the rest as declared. Throws NT_CONSUMER_CHANGED. */
  declare(consumers: readonly ConsumerDeclaration[]): Promise<void>;
  /**
   * One durable statement for all, then a second one that tells duplicates from conflicts, whose bodies are kept. The outcome of
   * each arrival in its order. When it throws, nothing may be concluded: each arrival is offered again under the same id.
   */
  accept(arrivals: readonly Arrival[]): Promise<readonly Put[]>;
  /** Sends messages of our own in the caller's transaction: they leave only if it commits. Throws NT_SEND_TX. */
  sendIn(tx: OutboxTx, arrivals: readonly Arrival[]): Promise<readonly Put[]>;
  /** Claims due deliveries: first attempts before retries, then in the order they fell due. One statement for all consumers. */
  claim(wants: readonly Want[], leaseMs: number): Promise<readonly Claimed[]>;
  /**
   * Takes over at most one delivery whose lease ran out, and records the lost execution if it was counted. From the second time
   * on the new one is counted before it runs.
   */
  takeOver(consumers: readonly string[], leaseMs: number, worker: string): Promise<Claimed | undefined>;
  /** Extends leases; rows locked by their own transaction are skipped. The claims that are no longer current. */
  renew(claims: readonly Claim[], leaseMs: number): Promise<readonly Claim[]>;
  /** Settles apart from any effects; the ids of the deliveries that were really settled. */
  settle(settlements: readonly Settlement[], worker: string): Promise<ReadonlySet<string>>;
  /** Records executions that lost their claim. Not fenced: history only. */
  recordSuperseded(settlements: readonly Settlement[], worker: string): Promise<void>;
  begin(limits: TransactionLimits, worker: string): Promise<Transaction>;
  /**
   * After an unknown COMMIT: one fenced update gives all members a new claim. `not-committed`: any row matched, and it can
   * not commit any more; the new claims are returned. `committed`: no row, and the settlements of these claims exist.
   * `superseded`: neither. `unknown`: left to the claim loop.
   */
  resolve(
    claims: readonly Claim[],
    leaseMs: number,
  ): Promise<
    | { readonly kind: "committed" | "superseded" | "unknown" }
    | { readonly kind: "not-committed"; readonly claims: readonly Claim[] }
  >;
  beginStep(claim: Claim, name: string, idempotencyKey: string): Promise<StepBegun>;
  /** False when the claim is no longer current: the result was not recorded. */
  finishStep(claim: Claim, name: string, outcome: { result: string } | { error: string }): Promise<boolean>;
  /** What a running handler tells. False when the claim is no longer current. */
  note(claim: Claim, progress: number, line: string | undefined): Promise<boolean>;
  /** How messages that have one consumer (jobs) ended. */
  outcomes(messageIds: readonly string[]): Promise<ReadonlyMap<string, Outcome>>;
  /**
   * Ends what is outstanding of a message by hand, running or not; what commits meanwhile is waited for, and stays completed. With
   * `children` theirs too.
   */
  cancel(messageId: string, reason: string, children?: boolean): Promise<Cancelled>;
  /** What a paused consumer has is kept and not claimed. False when there is no such consumer. */
  pause(consumer: string, paused: boolean): Promise<boolean>;
  /** Milliseconds until the next of these consumers' deliveries is due or its lease ends; undefined when nothing is outstanding. */
  nextDueMs(consumers: readonly string[]): Promise<number | undefined>;
  /** A hint that something is due, in a transaction of its own; `from` names who gives it. Never throws. */
  hint(from: string): Promise<void>;
  /**
   * Calls back on every hint with who gave it, and without after every time it had to connect again. Heals itself. Where
   * hints do not arrive (behind a transaction pooler) it calls back without one as often as `defaults.pollMs`.
   */
  listen(onHint: (from: string | undefined) => void): Promise<() => Promise<void>>;
  /** How often messages came again. */
  countCopies(counts: readonly { messageId: string; copies: number }[]): Promise<void>;
  countRefusals(counts: readonly { source: string; reason: string; refused: number }[]): Promise<void>;
  /** One small piece of housekeeping: makes partitions ahead, prunes a slice of the ledger, drops what is past retention. */
  tidy(options: { dedupeDays: number; retainDays: number }): Promise<void>;
  /** Where SQL of the reading side (CLI, server) runs. Reads and admin actions only. */
  query<Row = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<QueryResult<Row>>;
  close(): Promise<void>;
}
