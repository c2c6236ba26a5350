/**
 * Settling: the row of the delivery goes (or becomes due again), and the row of history comes, in one statement.
 *
 * The fence is the row's lock: `d.id = s.id and d.claim = s.claim` in the statement that deletes or updates it. What
 * comes back is what was really settled; whoever is not in it has lost its claim. In a handler's transaction the lane
 * token is required too: had the handler ended the transaction itself, the settlement would otherwise run alone, in
 * autocommit, with no effect beside it: a loss.
 *
 * A group's short lock_timeout ends here: a renewal may hold some of the rows for a few milliseconds, and giving the
 * group up for that would run it all again. Renewals skip locked rows, so nobody waits in a circle.
 *
 * Deliveries are named in the order of their ids, so that two statements that lock several take them in one order, and
 * by an array of them: joined to the list alone, the planner reads the whole table as soon as it thinks that small.
 */
import type { Claim, Settlement } from "../core/ports/store.ts";
import type { Run } from "./accept.ts";
export declare function settle(run: Run, settlements: readonly Settlement[], worker: string, lane: string | null, allOrError?: boolean): Promise<ReadonlySet<string>>;
export declare function recordSuperseded(run: Run, settlements: readonly Settlement[], worker: string): Promise<void>;
export type Resolution = {
    readonly kind: "committed" | "superseded" | "unknown";
} | {
    readonly kind: "not-committed";
    readonly claims: readonly Claim[];
};
export declare function resolve(run: Run, claims: readonly Claim[], leaseMs: number): Promise<Resolution>;
