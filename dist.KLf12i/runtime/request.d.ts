import type { RefusalReason } from "../core/ports/source.ts";
/** A request without the weight of Web objects: what the server and `nevertwice/node` hand over. */
export interface RawRequest {
    readonly method: string;
    /** Names in lower case; a header sent twice has two values. */
    readonly headers: ReadonlyMap<string, readonly string[]>;
    readonly body: Uint8Array | AsyncIterable<Uint8Array> | null;
    readonly tenant?: string;
}
export interface RawResponse {
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
}
export interface Unreadable {
    readonly status: 405 | 413 | 415;
    readonly reason: RefusalReason;
    readonly detail: string;
}
/** What can be refused before a byte of the body is read. */
export declare function refuseUnread(request: RawRequest, limitBytes: number): Unreadable | undefined;
/** The whole body, or a refusal as soon as it is one byte too long. */
export declare function readBody(body: RawRequest["body"], limitBytes: number): Promise<Uint8Array | Unreadable>;
/** A Web request as a raw one. Throws NT_BODY_PARSED when somebody has read the body already. */
export declare function rawRequest(request: Request): RawRequest;
export declare function storedHeaders(headers: RawRequest["headers"]): Record<string, string>;
