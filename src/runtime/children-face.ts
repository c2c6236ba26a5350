import { fault } from "../core/errors.ts";
import type { EnqueueOptions, Job } from "./job.ts";

/** How one child ended. `unknown`: nothing is kept of it any more. */
export type ChildOutcome<Result> =
  | { readonly status: "completed"; readonly id: string; readonly result: Result }
  | { readonly status: "dead" | "cancelled" | "unknown"; readonly id: string; readonly error: string };

/** Of all children of a group; their tenant and priority are by default those of the parent. */
export type ChildrenOptions = Pick<EnqueueOptions, "tenant" | "priority" | "delayMs" | "expireAfterMs">;

/**
 * Hands work to children, jobs of their own, and waits for them without holding anything: the first call ends this execution
 * (what was written through `tx` is rolled back, steps are kept, no attempt is counted), and the handler runs again from its
 * beginning when all of them have ended. Then the call gives an outcome for each, in the order of the inputs.
 *
 * A group belongs to its name, as a step does: its children are enqueued once, whatever crashes or is replayed, and what `inputs`
 * would be in a later run counts for nothing; given as a function, it is not asked again. Groups of one `Promise.all` are enqueued
 * together.
 *
 * At most 10,000 inputs, checked by the job's schema before anything is enqueued, and 64 MiB of results. Throws NT_JOB_INPUT,
 * NT_PAYLOAD, NT_OPTION and NT_CHILDREN.
 */
export type AskChildren = <Input, Result>(
  name: string,
  job: Job<Input, Result, any>,
  inputs: readonly Input[] | (() => readonly Input[] | Promise<readonly Input[]>),
  options?: ChildrenOptions,
) => Promise<ChildOutcome<Result>[]>;

/** The results of children, in their order. Throws NT_CHILD_ENDED, which is not retried, with the first that did not complete. */
export function allCompleted<Result>(outcomes: readonly ChildOutcome<Result>[]): Result[] {
  return outcomes.map((one) => {
    if (one.status === "completed") return one.result;
    throw fault("NT_CHILD_ENDED", { got: `${one.id} ${one.status}: ${one.error}` });
  });
}
