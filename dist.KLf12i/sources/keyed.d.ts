import type { Incoming, Verdict } from "../core/ports/source.ts";
/** Where a source without a convention of its own finds the key and the topic of a message. */
export interface KeyedOptions {
    /**
     * A header (`{ header: "x-request-id" }`), a member of the body by JSON Pointer (`{ pointer: "/data/id" }`), or
     * `"body-hash"`: equal bodies are then one message, which swallows genuine repeats.
     */
    readonly key: {
        readonly header: string;
    } | {
        readonly pointer: string;
    } | "body-hash";
    /** A constant, a header, or a member of the body. @default the provider's name */
    readonly topic?: string | {
        readonly header: string;
    } | {
        readonly pointer: string;
    };
}
/** Key and topic of a request whose sender has been proved as far as the source can. */
export declare function keyed(incoming: Incoming, options: KeyedOptions, provider: string): Verdict;
