import type { Source } from "../core/ports/source.ts";
import type { SecretOption } from "../core/secret.ts";
import { type KeyedOptions } from "./keyed.ts";
export interface HmacOptions extends KeyedOptions {
    readonly secret: SecretOption;
    /** The header with the signature; several may be separated by spaces. */
    readonly header: string;
    /** @default "sha256" */
    readonly algorithm?: "sha1" | "sha256" | "sha512";
    /** @default "hex" */
    readonly encoding?: "hex" | "base64" | "base64url";
    /** What stands before the encoded signature, such as `sha256=`. @default "" */
    readonly prefix?: string;
    /** A header with seconds since the epoch that is signed before the body: `<timestamp><separator><body>`. */
    readonly timestamp?: {
        readonly header: string;
        readonly separator: string;
    };
    /** @default 300000 */
    readonly toleranceMs?: number;
}
/**
 * Any provider that signs the body with HMAC, by configuration. The signature covers the body (and the timestamp), not
 * a key in a header: the same signed bytes under another id are marked as a suspected replay.
 * Throws NT_OPTION, and NT_SECRET_MISSING when it is asked without a secret. Source: RFC 2104.
 */
export declare function hmac<Events extends object = Record<string, any>>(options: HmacOptions): Source<Events>;
