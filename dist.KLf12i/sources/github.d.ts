import type { Source } from "../core/ports/source.ts";
import type { SecretOption } from "../core/secret.ts";
export interface GithubOptions {
    /** The webhook's secrets; several during a rotation. */
    readonly secret: SecretOption;
    /**
     * The signature does not cover the delivery's id: the same signed bytes under another id are marked as a suspected
     * replay and processed, or refused with 409. @default "mark"
     */
    readonly onSuspectedReplay?: "mark" | "refuse";
}
/**
 * GitHub: `X-Hub-Signature-256: sha256=<hex>`, HMAC-SHA256 over the body. The key is `X-GitHub-Delivery`; the topic is
 * `X-GitHub-Event`, with `.<action>` where the body has one. There is no timestamp, and GitHub never sends again by itself.
 * Throws NT_OPTION, and NT_SECRET_MISSING when it is asked without a secret.
 *
 * Source: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
 */
export declare function github<Events extends object = Record<string, any>>(options: GithubOptions): Source<Events>;
/** The headers of a test delivery, as GitHub would sign it. */
export declare function signGithub(body: string | Uint8Array, secret: string, id: string, event: string): Record<string, string>;
