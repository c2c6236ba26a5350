export interface RetryPolicy {
    /** Attempts before the dead letter. */
    readonly maxAttempts: number;
    /** The first retry waits up to this long. */
    readonly baseMs: number;
    readonly factor: number;
    /** No retry waits longer than this. */
    readonly maxMs: number;
}
export declare function retryPolicy(given?: Partial<RetryPolicy>): RetryPolicy;
/**
 * Full jitter: anywhere between nothing and the exponential bound, so that a thousand failures of one outage
 * do not come back at one moment. `random` is in [0, 1).
 */
export declare function backoffMs(policy: RetryPolicy, attempt: number, random: number): number;
