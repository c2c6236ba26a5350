import type { Clock, Random } from "../core/ports/clock.ts";
import type { Arrival } from "../core/ports/store.ts";
/** The first 16 bytes of sha-256: 2^64 keys before a collision is likely, in the width of a uuid. */
export declare function digest(...parts: readonly (string | Uint8Array)[]): Uint8Array;
export interface Parcel {
    readonly tenant: string;
    readonly source: string;
    readonly key: string | undefined;
    readonly topic: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: Uint8Array;
    /** The bytes that decide whether a second copy is the same. */
    readonly comparable: Uint8Array;
    /** Set where the signature does not cover the id. */
    readonly onReplay?: "mark" | "refuse";
    readonly delayMs?: number;
}
/** Gives a message its id and its hashes. Without a key its id is its key: repeated after an unknown COMMIT it is absorbed. */
export declare function arrival(parcel: Parcel, clock: Clock, random: Random): Arrival;
/** A message of our own: bytes and strings as they are, everything else as JSON. */
export declare function ownParcel(topic: string, payload: unknown, options: {
    key?: string | undefined;
    delayMs?: number | undefined;
    tenant?: string | undefined;
}): Parcel;
