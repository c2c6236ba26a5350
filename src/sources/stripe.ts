import { checkOptions } from "../core/errors.ts";
import type { Source } from "../core/ports/source.ts";
import type { SecretOption } from "../core/secret.ts";
import { scalars, without } from "./json-text.ts";
import {
  anyEqual,
  checkTimestamp,
  decode,
  hmac,
  MOST_SIGNATURES,
  printable,
  refuse,
  secretsOf,
  single,
  toleranceOf,
} from "./signature.ts";

export interface StripeOptions {
  /** The endpoint's signing secrets, `whsec_…`; several during a rotation. */
  readonly secret: SecretOption;
  /** How far a timestamp may lie in the past and in the future. @default 300000 */
  readonly toleranceMs?: number;
}

/** Of a union of events by `type`, each type's event. */
type ByType<Event extends { readonly type: string }> = { [One in Event as One["type"]]: One };

/**
 * Stripe: `Stripe-Signature: t=<seconds>,v1=<hex>[,v1=…]`, HMAC-SHA256 over `<t>.<body>`.
 * The key is the event's `id` and the topic its `type`, both from the raw text. `pending_webhooks` changes between two
 * sendings of one event and is left out of the comparison of bodies, never of what is stored.
 * Throws NT_OPTION, and NT_SECRET_MISSING when it is asked without a secret.
 *
 * Source: https://docs.stripe.com/webhooks#verify-manually
 */
export function stripe<Event extends { readonly type: string } = { type: string }>(
  options: StripeOptions,
): Source<ByType<Event>> {
  checkOptions("stripe()", options, ["secret", "toleranceMs"]);
  const toleranceMs = toleranceOf(options.toleranceMs);
  return {
    provider: "stripe",
    proves: "id",
    acceptedStatus: 200,
    onSuspectedReplay: "mark",
    conflictStatus: 200,
    toleranceMs,
    facts: { retryHorizonMs: 3 * 86_400_000, documentation: "https://docs.stripe.com/webhooks#retries" },
    comparable: (body) => without(body, ["pending_webhooks"]),
    verify(incoming) {
      const secrets = secretsOf("stripe", options.secret);
      const header = single(incoming, "stripe-signature", { commas: true });
      if ("refused" in header) return header.refused;
      if (header.value === undefined) return refuse("missing-signature", "The header stripe-signature is missing.");
      const parts = header.value.split(",").map((part) => part.trim());
      const times = parts.filter((part) => part.startsWith("t=")).map((part) => part.slice(2));
      const given = parts.filter((part) => part.startsWith("v1=")).map((part) => part.slice(3));
      if (times.length > 1) return refuse("repeated-header", "The signature has two timestamps.");
      const [time] = times;
      if (time === undefined || given.length === 0) return refuse("malformed-header", "The signature lacks t or v1.");
      if (given.length > MOST_SIGNATURES) return refuse("too-many-signatures", "The header has too many signatures.");
      const late = checkTimestamp(time, incoming.nowMs, toleranceMs);
      if (late !== undefined) return late;
      const expected = secrets.map((secret) => hmac("sha256", secret.reveal(), `${time}.`, incoming.body));
      const candidates = given.map((text) => decode(text, "hex")).filter((bytes) => bytes !== undefined);
      if (!anyEqual(candidates, expected)) return refuse("bad-signature", "The signature does not match.");
      const [key, topic] = scalars(incoming.body, ["id", "type"]);
      if (!printable(key)) return refuse("missing-id", "The event has no usable `id`.", 400);
      if (!printable(topic)) return refuse("missing-topic", "The event has no usable `type`.", 400);
      return { ok: true, key, topic };
    },
  };
}

/** The headers of a test event, as Stripe would sign it. */
export function signStripe(body: string | Uint8Array, secret: string, nowMs: number): Record<string, string> {
  const time = Math.floor(nowMs / 1_000);
  return { "stripe-signature": `t=${time},v1=${hmac("sha256", secret, `${time}.`, body).toString("hex")}` };
}
