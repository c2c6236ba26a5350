import type { Source } from "../core/ports/source.ts";
import type { SecretOption } from "../core/secret.ts";
export interface StandardWebhooksOptions {
    /** Symmetric secrets (`whsec_` and base64) and public keys (`whpk_` and base64, ed25519); several during a rotation. */
    readonly secret: SecretOption;
    /** How far a timestamp may lie in the past and in the future. @default 300000 */
    readonly toleranceMs?: number;
    /** The topic of bodies without a `type`. Without it they are refused with 400. */
    readonly topic?: string;
}
/**
 * Standard Webhooks 1.0: `webhook-id`, `webhook-timestamp`, and `webhook-signature` with `v1,<base64>` (HMAC-SHA256) or
 * `v1a,<base64>` (ed25519) over `<id>.<timestamp>.<body>`. The key is the id, the topic the body's `type`.
 * Throws NT_OPTION for a malformed secret, and NT_SECRET_MISSING when it is asked without one.
 *
 * Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export declare function standardWebhooks<Events extends object = Record<string, any>>(options: StandardWebhooksOptions): Source<Events>;
/** The headers of a test message, signed with a `whsec_` secret. */
export declare function signStandardWebhook(body: string | Uint8Array, secret: string, id: string, nowMs: number): Record<string, string>;
