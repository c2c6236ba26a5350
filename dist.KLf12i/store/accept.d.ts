/**
 * Accepting: one durable statement for a whole batch.
 *
 * ledger -> message -> delivery, in one statement and so in one transaction. `on conflict do nothing` absorbs copies,
 * also twins within the batch; keys go in sorted by their hash, because overlapping batches in any other order
 * deadlock. The consumers are joined from their table, never taken from this process's memory.
 *
 * Which of the refused keys are duplicates and which conflicts is asked in a second statement, each by its own body
 * hash: the first one's snapshot may not see the row that refused it. A key found neither inserted nor present (its
 * rival rolled back, or was pruned in between) is offered again.
 *
 * `lock_timeout` and `synchronous_commit` are set by the statement itself, for its own transaction: behind a
 * transaction pooler there is no session to set them in. The latter is raised where it is lower, never lowered.
 */
import type { Acceptance, Arrival } from "../core/ports/store.ts";
/** Runs a statement: apart (one transaction each), or in a handler's transaction. */
export type Run = <Row>(text: string, values: readonly unknown[]) => Promise<{
    rows: Row[];
}>;
export declare function accept(run: Run, arrivals: readonly Arrival[]): Promise<readonly Acceptance[]>;
