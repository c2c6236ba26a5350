/** The public surface of `nevertwice`. Nothing else re-exports. */
import { Runtime } from "./runtime/nevertwice.ts";
import type { NevertwiceOptions } from "./runtime/face.ts";
import { openStore } from "./store/open.ts";

export { type ErrorCode, NevertwiceError, RetryError, SnoozeError, TerminalError } from "./core/errors.ts";
export { Secret, type SecretOption } from "./core/secret.ts";
export type { RetryPolicy } from "./core/backoff.ts";
export type { Clock, Random } from "./core/ports/clock.ts";
export type { Logger } from "./core/ports/logger.ts";
export type { Accepted, Incoming, RefusalReason, Refused, Source, Verdict } from "./core/ports/source.ts";
export type { OutboxTx } from "./core/ports/outbox.ts";
export type { SchemaInput, SchemaOutput, StandardSchema } from "./core/ports/schema.ts";
export type { ListedSchedule } from "./core/ports/schedules.ts";
export type { Missed, Slot } from "./core/schedule.ts";
export type { Durability, QueryResult } from "./core/ports/store.ts";
export type {
  ConsumerOptions,
  Handler,
  HandlerContext,
  InboxOptions,
  Message,
  NevertwiceOptions,
  OutboxOptions,
  PoolLike,
  SendOptions,
  Sent,
  Step,
  StepTools,
  Tx,
} from "./runtime/face.ts";
export { allCompleted, type AskChildren, type ChildOutcome, type ChildrenOptions } from "./runtime/children-face.ts";
export type { BatchContext, BatchHandler, BatchMember, BatchOptions } from "./runtime/batch-face.ts";
export type {
  CancelOptions,
  CancelOutcome,
  Enqueued,
  EnqueueOptions,
  Job,
  JobOptions,
  JobSchedule,
  ResultOptions,
  UniqueOptions,
} from "./runtime/job.ts";
export type { RunDueOptions } from "./runtime/working.ts";
export type { EventOf, Inbox, Receive } from "./runtime/inbox.ts";
export type { RunTimeSchedules, ScheduledJob, ScheduleOptions, SetScheduleOptions } from "./runtime/schedules.ts";
export type { RawRequest, RawResponse } from "./runtime/request.ts";

/** See {@link Runtime}: the same, with PostgreSQL underneath. */
export class Nevertwice extends Runtime {
  constructor(options: NevertwiceOptions) {
    super(options, openStore);
  }
}
