import type { Clock } from "../core/ports/clock.ts";
export interface RefusalCount {
    readonly source: string;
    readonly reason: string;
    readonly refused: number;
}
/**
 * Refused requests are counted in memory and written per source and reason at most every 10 seconds, so that a flood
 * of forged requests costs no database work. What a killed process had not written yet is not counted.
 */
export declare class Refusals {
    #private;
    constructor(write: (counts: readonly RefusalCount[]) => Promise<void>, clock: Clock);
    count(source: string, reason: string): void;
    /** Writes what has been counted; keeps it for the next time when the database is away. */
    flush(): Promise<void>;
}
