import type { Source } from "../core/ports/source.ts";
import type { SecretOption } from "../core/secret.ts";
import { type KeyedOptions } from "./keyed.ts";
export interface BasicOptions extends KeyedOptions {
    /** `user:password`; several during a rotation. */
    readonly secret: SecretOption;
}
export interface BearerOptions extends KeyedOptions {
    /** The token; several during a rotation. */
    readonly secret: SecretOption;
}
export interface NoneOptions extends KeyedOptions {
    /** Must be asked for by name: anybody who reaches the URL is believed. */
    readonly acceptAnybody: true;
}
/** HTTP Basic (RFC 7617). Credentials only: whoever has them can send anything. Throws NT_OPTION, NT_SECRET_MISSING. */
export declare function basic<Events extends object = Record<string, any>>(options: BasicOptions): Source<Events>;
/** A bearer token (RFC 6750). Credentials only: whoever has them can send anything. Throws NT_OPTION, NT_SECRET_MISSING. */
export declare function bearer<Events extends object = Record<string, any>>(options: BearerOptions): Source<Events>;
/** No proof at all, for a sender inside one's own network. Throws NT_OPTION unless it is asked for by name. */
export declare function none<Events extends object = Record<string, any>>(options: NoneOptions): Source<Events>;
