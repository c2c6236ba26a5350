import type { Clock } from "../core/ports/clock.ts";
import type { Logger } from "../core/ports/logger.ts";
import type { Claim, Store } from "../core/ports/store.ts";
/**
 * Keeps the leases of all that this process has claimed, running or not.
 *
 * A lease is short and renewed: a killed process gives its work back within seconds, a long handler keeps its own.
 * When the database says that a claim is no longer current, or when no renewal has got through for a whole lease, the
 * execution is told: it cannot settle any more, whatever it does.
 */
export declare class Leases {
    #private;
    constructor(store: Store, clock: Clock, logger: Logger, leaseMs: number);
    /** A delivery has one holder in a process: a newer claim of the same delivery replaces the older. */
    hold(claim: Claim, onLost: () => void): void;
    release(claim: Claim): void;
    stop(): void;
}
