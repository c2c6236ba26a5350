/** The sources of `nevertwice/sources`. */
export { basic, bearer, none } from "./credentials.js";
export { github, signGithub } from "./github.js";
export { hmac } from "./hmac.js";
export { signStandardWebhook, standardWebhooks } from "./standard-webhooks.js";
export { signStripe, stripe } from "./stripe.js";
//# sourceMappingURL=all.js.map