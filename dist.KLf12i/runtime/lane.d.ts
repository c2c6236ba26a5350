import type { Clock } from "../core/ports/clock.ts";
import type { Claim, Store } from "../core/ports/store.ts";
import { Permits } from "./permits.ts";
import { Turn } from "./turn.ts";
export interface LanesHost {
    readonly store: Store;
    readonly clock: Clock;
    readonly worker: string;
    readonly leaseMs: number;
    /** Transactions of all consumers of this process. */
    readonly transactions: Permits;
    /** Called after a commit that may have sent messages. */
    hint(): void;
}
/** The lanes of one consumer. */
export declare class Lanes {
    #private;
    grouped: boolean;
    constructor(host: LanesHost, options: {
        timeoutMs: number;
        grouped: boolean;
    });
    enter(claim: Claim, alone: boolean): Turn;
}
