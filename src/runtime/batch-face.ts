import type { Logger } from "../core/ports/logger.ts";
import type { ConsumerOptions, Message, SendOptions, Sent, Tx } from "./face.ts";

/** One delivery in a batch. */
export interface BatchMember<Event> {
  readonly event: Event;
  readonly message: Message;
  readonly deliveryId: string;
  /** From 1. */
  readonly attempt: number;
  /**
   * This one has failed, as if its own handler had thrown it: tried again later, or dead-lettered. Where `tx` was used the
   * batch is rolled back and the others run again without it; else the others are completed as they are.
   */
  readonly fail: (error: unknown) => void;
  /** What this job returns. */
  readonly result: (value: unknown) => void;
  /** Sends to a topic of our own; leaves only if the batch completes. */
  readonly send: (topic: string, payload: unknown, options?: SendOptions) => Promise<Sent>;
}

export interface BatchContext {
  readonly consumer: string;
  /** The transaction of the whole batch. */
  readonly tx: Tx;
  /** Aborted on timeout, a member's lost lease, and shutdown. */
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/**
 * Handles many at once; each member that it neither fails nor throws for is completed. When it throws, the batch is halved and
 * run again until the culprit is alone; RetryError and SnoozeError are about all of its members.
 */
export type BatchHandler<Event> = (members: readonly BatchMember<Event>[], context: BatchContext) => unknown;

export interface BatchOptions extends Omit<ConsumerOptions, "group"> {
  /** Members of a batch at most; what is here when a slot is free makes one, and nothing is waited for. @default 100 */
  readonly size?: number;
  /** Batches of this consumer that run at the same time in this process. @default 2 */
  readonly concurrency?: number;
}
