/**
 * Time of this process. It orders nothing about deliveries: all time about deliveries is the database's.
 */
export interface Clock {
    /** Milliseconds since the epoch; may jump. Used for signature windows and for the time in message ids. */
    now(): number;
    /** Milliseconds from an arbitrary start; never goes back. Used for timeouts, leases held and polling. */
    monotonic(): number;
    /** Calls back once, after at least `ms`; 0: as soon as what has come in meanwhile was read. The returned function cancels it. */
    after(ms: number, callback: () => void): () => void;
}
export interface Random {
    bytes(count: number): Uint8Array;
    /** In [0, 1). */
    fraction(): number;
}
