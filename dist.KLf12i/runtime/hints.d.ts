import type { Clock } from "../core/ports/clock.ts";
/**
 * "Something is due": sent after COMMIT, in a transaction of its own, and coalesced. While one hint is under way all
 * others become the next one. A hint that is lost costs a poll interval, never a message.
 */
export declare class Hints {
    #private;
    constructor(send: () => Promise<void>, clock: Clock);
    give(): void;
}
