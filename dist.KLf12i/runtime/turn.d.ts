import type { Claim, Transaction } from "../core/ports/store.ts";
/** What became of a turn after its transaction ended. */
export type TurnEnd = {
    readonly kind: "committed" | "superseded" | "unknown" | "undone";
}
/** Rolled back through no fault of its own: to be run again alone, under the new claim. */
 | {
    readonly kind: "again";
    readonly claim: Claim;
};
export interface Figures {
    readonly ranMs: number;
    readonly reruns: number;
}
/** One execution's use of a transaction: queued, given, ended by the handler, settled by the lane. */
export declare class Turn {
    #private;
    readonly claim: Claim;
    readonly alone: boolean;
    readonly begun: Promise<{
        tx: Transaction;
        single: boolean;
    }>;
    readonly ended: Promise<"keep" | "undo" | "again">;
    readonly settled: Promise<TurnEnd>;
    cancelled: boolean;
    given: boolean;
    /** The handler's consumer has no place in groups. */
    leaves: boolean;
    /** A statement waited for a lock too long, or was a deadlock's victim. */
    lockWait: boolean;
    sends: boolean;
    /** The first error of a statement. */
    error: unknown;
    figures: () => Figures;
    constructor(claim: Claim, alone: boolean);
    /** It waits for the end of its group before it learns what became of it. */
    get waits(): boolean;
    give(tx: Transaction, single: boolean): void;
    refuse(error: unknown): void;
    /** The handler is done with it. Before it was given, it simply leaves the queue. */
    end(verdict: "keep" | "undo" | "again"): void;
    settle(end: TurnEnd): void;
}
