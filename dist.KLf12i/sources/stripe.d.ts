import type { Source } from "../core/ports/source.ts";
import type { SecretOption } from "../core/secret.ts";
export interface StripeOptions {
    /** The endpoint's signing secrets, `whsec_…`; several during a rotation. */
    readonly secret: SecretOption;
    /** How far a timestamp may lie in the past and in the future. @default 300000 */
    readonly toleranceMs?: number;
}
/** Of a union of events by `type`, each type's event. */
type ByType<Event extends {
    readonly type: string;
}> = {
    [One in Event as One["type"]]: One;
};
/**
 * Stripe: `Stripe-Signature: t=<seconds>,v1=<hex>[,v1=…]`, HMAC-SHA256 over `<t>.<body>`.
 * The key is the event's `id` and the topic its `type`, both from the raw text. `pending_webhooks` changes between two
 * sendings of one event and is left out of the comparison of bodies, never of what is stored.
 * Throws NT_OPTION, and NT_SECRET_MISSING when it is asked without a secret.
 *
 * Source: https://docs.stripe.com/webhooks#verify-manually
 */
export declare function stripe<Event extends {
    readonly type: string;
} = {
    type: string;
}>(options: StripeOptions): Source<ByType<Event>>;
/** The headers of a test event, as Stripe would sign it. */
export declare function signStripe(body: string, secret: string, nowMs: number): Record<string, string>;
export {};
