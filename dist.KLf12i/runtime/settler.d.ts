import type { Clock } from "../core/ports/clock.ts";
import type { Logger } from "../core/ports/logger.ts";
import type { Settlement, Store } from "../core/ports/store.ts";
/**
 * Settles what has no transaction of its own: handlers that never used `tx`, failures, and what a shutdown gives back.
 * Many share one statement. A settlement that does not get through is tried again until its lease is over; one whose
 * reply was lost is resolved, not guessed.
 */
export declare class Settler {
    #private;
    constructor(store: Store, clock: Clock, logger: Logger, worker: string, leaseMs: number);
    /** Whether the delivery was settled by this claim. A loser's execution is recorded as superseded. */
    settle(settlement: Settlement): Promise<boolean>;
    recordSuperseded(settlement: Settlement): Promise<void>;
    drained(): Promise<void>;
}
