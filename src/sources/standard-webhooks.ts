import { createPublicKey, createSecretKey, type KeyObject, verify as verifySignature } from "node:crypto";
import { checkOptions, fault } from "../core/errors.ts";
import type { Source } from "../core/ports/source.ts";
import type { SecretOption } from "../core/secret.ts";
import { scalars } from "./json-text.ts";
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
export function standardWebhooks<Events extends object = Record<string, any>>(
  options: StandardWebhooksOptions,
): Source<Events> {
  checkOptions("standardWebhooks()", options, ["secret", "toleranceMs", "topic"]);
  const toleranceMs = toleranceOf(options.toleranceMs);
  const keys = new Map<string, KeyObject>();
  const keyOf = (secret: string): KeyObject => {
    let key = keys.get(secret);
    if (key === undefined) keys.set(secret, (key = readKey(secret)));
    return key;
  };
  return {
    provider: "standard-webhooks",
    proves: "id",
    acceptedStatus: 202,
    onSuspectedReplay: "mark",
    conflictStatus: 200,
    toleranceMs,
    facts: { retryHorizonMs: 28 * 3_600_000, documentation: "https://www.standardwebhooks.com" },
    comparable: (body) => body,
    verify(incoming) {
      const secrets = secretsOf("standard-webhooks", options.secret);
      const id = single(incoming, "webhook-id");
      if ("refused" in id) return id.refused;
      const time = single(incoming, "webhook-timestamp");
      if ("refused" in time) return time.refused;
      const header = single(incoming, "webhook-signature", { commas: true });
      if ("refused" in header) return header.refused;
      if (header.value === undefined) return refuse("missing-signature", "The header webhook-signature is missing.");
      if (id.value === undefined) return refuse("missing-id", "The header webhook-id is missing.", 400);
      if (time.value === undefined) return refuse("malformed-header", "The header webhook-timestamp is missing.");
      const late = checkTimestamp(time.value, incoming.nowMs, toleranceMs);
      if (late !== undefined) return late;
      // Two headers joined by a framework look like `v1,… , v1,…`; the specification separates with a space alone.
      const given = header.value.split(" ").filter((part) => part !== "");
      if (given.length > MOST_SIGNATURES) return refuse("too-many-signatures", "The header has too many signatures.");
      const prefix = `${id.value}.${time.value}.`;
      if (
        !matches(
          given,
          secrets.map((secret) => keyOf(secret.reveal())),
          prefix,
          incoming.body,
        )
      ) {
        return refuse("bad-signature", "The signature does not match.");
      }
      const [type] = scalars(incoming.body, ["type"]);
      const topic = printable(type) ? type : options.topic;
      if (topic === undefined) return refuse("missing-topic", "The body has no usable `type`.", 400);
      return { ok: true, key: id.value, topic };
    },
  };
}

function matches(given: readonly string[], keys: readonly KeyObject[], prefix: string, body: Uint8Array): boolean {
  const symmetric = given.filter((part) => part.startsWith("v1,")).map((part) => decode(part.slice(3), "base64"));
  const expected = keys.filter((key) => key.type === "secret").map((key) => hmac("sha256", key, prefix, body));
  if (
    anyEqual(
      symmetric.filter((bytes) => bytes !== undefined),
      expected,
    )
  )
    return true;
  const asymmetric = given.filter((part) => part.startsWith("v1a,")).map((part) => decode(part.slice(4), "base64"));
  if (asymmetric.length === 0) return false;
  const signed = Buffer.concat([Buffer.from(prefix), body]);
  for (const signature of asymmetric) {
    if (signature === undefined) continue;
    for (const key of keys) if (key.type === "public" && verifySignature(null, signed, key, signature)) return true;
  }
  return false;
}

function readKey(secret: string): KeyObject {
  const isPublic = secret.startsWith("whpk_");
  const bytes = decode(secret.replace(/^(?:whsec_|whpk_)/, ""), "base64");
  if (bytes === undefined || (isPublic && bytes.length !== 32)) {
    throw fault("NT_OPTION", {
      expected: "`whsec_` and base64, or `whpk_` and base64 of 32 bytes",
      got: "something else",
    });
  }
  if (!isPublic) return createSecretKey(bytes);
  // RFC 8410: the fixed beginning of an ed25519 key in SubjectPublicKeyInfo.
  const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), bytes]);
  return createPublicKey({ key: der, format: "der", type: "spki" });
}

/** The headers of a test message, signed with a `whsec_` secret. */
export function signStandardWebhook(
  body: string | Uint8Array,
  secret: string,
  id: string,
  nowMs: number,
): Record<string, string> {
  const time = String(Math.floor(nowMs / 1_000));
  const key = readKey(secret);
  if (key.type !== "secret")
    throw fault("NT_OPTION", { expected: "a symmetric secret to sign with", got: "a public key" });
  return {
    "webhook-id": id,
    "webhook-timestamp": time,
    "webhook-signature": `v1,${hmac("sha256", key, `${id}.${time}.`, body).toString("base64")}`,
  };
}
