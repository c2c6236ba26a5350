/** The sources of `nevertwice/sources`. */
export { basic, type BasicOptions, bearer, type BearerOptions, none, type NoneOptions } from "./credentials.ts";
export { github, type GithubOptions, signGithub } from "./github.ts";
export { hmac, type HmacOptions } from "./hmac.ts";
export type { KeyedOptions } from "./keyed.ts";
export { signStandardWebhook, standardWebhooks, type StandardWebhooksOptions } from "./standard-webhooks.ts";
export { signStripe, stripe, type StripeOptions } from "./stripe.ts";
