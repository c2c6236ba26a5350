/**
 * Message ids are UUIDv7 (RFC 9562): made by the accepting process, never by a sequence, because after a failover
 * or a restore a sequence gives an old number to another message, whose steps would then reuse an old idempotency
 * key. Their first 48 bits are a time, and the tables of history are partitioned by it.
 *
 * `random` gives 10 fresh random bytes.
 */
export declare function uuidv7(nowMs: number, random: Uint8Array): string;
export declare function isUuid(text: string): boolean;
/** The time in an id of ours, in milliseconds. Delivery ids carry the time of their message. */
export declare function idTimeMs(id: string): number;
/** The lowest id of a moment: a bound for partitions and for pruning. */
export declare function lowestId(ms: number): string;
