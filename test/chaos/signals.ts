/**
 * What the processes under test and the harness say to each other. A process writes lines of JSON to its standard
 * output, synchronously, so that a line is out before the process is stopped or killed; the harness answers over IPC.
 */

/** Where a process can be stopped. The worker's six are engine.md's; the server's three surround its one statement. */
export const workerPoints = ["claimed", "in-tx", "before-request", "after-request", "settled", "commit-sent"] as const;
export const serverPoints = ["accept-unsent", "accept-sent", "accept-committed"] as const;
export type Point = (typeof workerPoints)[number] | (typeof serverPoints)[number];

/** How a process is set up; passed as JSON in its argument. */
export interface Setup {
  readonly role: "worker" | "server";
  readonly url: string;
  readonly provider: string;
  /** 0 takes any port. */
  readonly port: number;
  readonly leaseMs: number;
  /** The canary's name: the guard that this process is without. */
  readonly canary?: string;
}

/** The next time that the process reaches the point (with a delivery of the consumer), it stops itself. */
export interface Arm {
  readonly arm: Point | undefined;
  readonly consumer?: string;
}

export interface Standing {
  readonly at: Point;
  readonly deliveryId?: string;
  readonly claim?: string;
  /** The message's key, where it is known. */
  readonly message?: string;
}

/** One start of a handler. */
export interface Run {
  readonly run: string;
  readonly message: string;
  readonly consumer: string;
  readonly deliveryId: string;
  readonly attempt: number;
  /** The process was stopped while it held this delivery, and another may have taken it over. */
  readonly zombie: boolean;
}

export type Line =
  | { readonly ready: number }
  | Standing
  | Run
  /** A step's result is durable: a request under this key that comes later is one too many. */
  | { readonly recorded: string }
  | { readonly unhandled: string };
