import type { Clock, Random } from "../core/ports/clock.ts";
import type { Logger } from "../core/ports/logger.ts";
import type { Claim, Claimed, Settlement, Store } from "../core/ports/store.ts";
import type { Consumer } from "./consumer.ts";
import type { Lanes } from "./lane.ts";
export interface ExecutionHost {
    readonly store: Store;
    readonly clock: Clock;
    readonly random: Random;
    readonly logger: Logger;
}
/** How an execution ended, before anything is settled. */
export type Ended = {
    readonly kind: "settled-in-tx";
}
/** To be settled apart: no effects, or effects rolled back. */
 | {
    readonly kind: "settle";
    readonly settlement: Settlement;
} | {
    readonly kind: "superseded";
    readonly settlement: Settlement;
} | {
    readonly kind: "again";
    readonly claim: Claim;
}
/** Nothing is known: left to the claim loop. */
 | {
    readonly kind: "left";
};
/**
 * One run of one handler: run, then settle. `run()` resolves when the handler is done with, so that the next one may
 * start; `ended` resolves when its transaction is.
 */
export declare class Execution {
    #private;
    readonly claimed: Claimed;
    readonly consumer: Consumer;
    readonly ended: Promise<Ended>;
    constructor(host: ExecutionHost, consumer: Consumer, lanes: Lanes, claimed: Claimed, alone: boolean, reruns: number);
    /** Timeout, lost lease or shutdown: the handler is told, its transaction is taken away, and half of it never commits. */
    abort(reason: Error): void;
    /** `onHandled` is called as soon as the handler has returned, before its transaction goes on to the next one. */
    run(onHandled: () => void): Promise<void>;
}
