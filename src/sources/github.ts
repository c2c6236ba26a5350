import { checkOptions } from "../core/errors.ts";
import type { Source } from "../core/ports/source.ts";
import type { SecretOption } from "../core/secret.ts";
import { scalars } from "./json-text.ts";
import { anyEqual, decode, hmac, printable, refuse, secretsOf, single } from "./signature.ts";

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
export function github<Events extends object = Record<string, any>>(options: GithubOptions): Source<Events> {
  checkOptions("github()", options, ["secret", "onSuspectedReplay"]);
  return {
    provider: "github",
    proves: "body",
    acceptedStatus: 202,
    onSuspectedReplay: options.onSuspectedReplay ?? "mark",
    conflictStatus: 200,
    toleranceMs: undefined,
    facts: { documentation: "https://docs.github.com/en/webhooks/using-webhooks/handling-failed-webhook-deliveries" },
    comparable: (body) => body,
    verify(incoming) {
      const secrets = secretsOf("github", options.secret);
      const header = single(incoming, "x-hub-signature-256");
      if ("refused" in header) return header.refused;
      if (header.value === undefined) return refuse("missing-signature", "The header x-hub-signature-256 is missing.");
      const given = header.value.startsWith("sha256=") ? decode(header.value.slice(7), "hex") : undefined;
      if (given === undefined) return refuse("malformed-header", "The signature is not sha256= and hex.");
      const expected = secrets.map((secret) => hmac("sha256", secret.reveal(), incoming.body));
      if (!anyEqual([given], expected)) return refuse("bad-signature", "The signature does not match.");
      const id = single(incoming, "x-github-delivery");
      if ("refused" in id) return { ...id.refused, status: 400 };
      if (!printable(id.value)) return refuse("missing-id", "The header x-github-delivery is missing.", 400);
      const event = single(incoming, "x-github-event");
      if ("refused" in event) return { ...event.refused, status: 400 };
      if (!printable(event.value)) return refuse("missing-topic", "The header x-github-event is missing.", 400);
      const [action] = scalars(incoming.body, ["action"]);
      const topic = action === undefined ? event.value : `${event.value}.${action}`;
      return { ok: true, key: id.value, topic: printable(topic) ? topic : event.value };
    },
  };
}

/** The headers of a test delivery, as GitHub would sign it. */
export function signGithub(
  body: string | Uint8Array,
  secret: string,
  id: string,
  event: string,
): Record<string, string> {
  return {
    "x-hub-signature-256": `sha256=${hmac("sha256", secret, body).toString("hex")}`,
    "x-github-delivery": id,
    "x-github-event": event,
  };
}
