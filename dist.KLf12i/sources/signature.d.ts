import type { Incoming, RefusalReason, Refused } from "../core/ports/source.ts";
import { type Secret, type SecretOption } from "../core/secret.ts";
/** More signatures than any rotation needs: each costs a comparison, so their number is bounded. */
export declare const MOST_SIGNATURES = 16;
export declare function refuse(reason: RefusalReason, detail: string, status?: 400 | 401): Refused;
/** The secrets as they are now. Throws NT_SECRET_MISSING: a source without one accepts nothing. */
export declare function secretsOf(provider: string, option: SecretOption): readonly Secret[];
/** Equality in constant time over raw bytes. A length that differs is no secret. */
export declare function equal(a: Uint8Array, b: Uint8Array): boolean;
export declare function hmac(algorithm: string, secret: string | Uint8Array, ...parts: readonly (string | Uint8Array)[]): Buffer;
/** Whether any candidate equals any expected one; all are compared, so that the time tells nothing. */
export declare function anyEqual(candidates: readonly Uint8Array[], expected: readonly Uint8Array[]): boolean;
/** Hex or base64 of exactly the expected length, or undefined: decoders that skip what they do not know are not used. */
export declare function decode(text: string, encoding: "hex" | "base64" | "base64url"): Buffer | undefined;
/**
 * The one value of a header. Sent twice, or joined by a framework with a comma, it is refused: two readers of one
 * request could otherwise see two different ids.
 */
export declare function single(incoming: Incoming, name: string, options?: {
    commas: boolean;
}): {
    value: string | undefined;
} | {
    refused: Refused;
};
/** Digits only, in seconds, neither too old nor in the future. */
export declare function checkTimestamp(text: string, nowMs: number, toleranceMs: number): Refused | undefined;
export declare function toleranceOf(given: number | undefined): number;
/** A key or a topic taken from a body: bounded and printable, or the message cannot be taken. */
export declare function printable(value: string | undefined): value is string;
