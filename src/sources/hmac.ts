import { checkOptions } from "../core/errors.ts";
import type { Source } from "../core/ports/source.ts";
import type { SecretOption } from "../core/secret.ts";
import { keyed, type KeyedOptions } from "./keyed.ts";
import {
  anyEqual,
  checkTimestamp,
  decode,
  hmac as mac,
  MOST_SIGNATURES,
  refuse,
  secretsOf,
  single,
  toleranceOf,
} from "./signature.ts";

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
  readonly timestamp?: { readonly header: string; readonly separator: string };
  /** @default 300000 */
  readonly toleranceMs?: number;
}

/**
 * Any provider that signs the body with HMAC, by configuration. The signature covers the body (and the timestamp), not
 * a key in a header: the same signed bytes under another id are marked as a suspected replay.
 * Throws NT_OPTION, and NT_SECRET_MISSING when it is asked without a secret. Source: RFC 2104.
 */
export function hmac<Events extends object = Record<string, any>>(options: HmacOptions): Source<Events> {
  checkOptions("hmac()", options, [
    "secret",
    "header",
    "algorithm",
    "encoding",
    "prefix",
    "timestamp",
    "toleranceMs",
    "key",
    "topic",
  ]);
  const toleranceMs = toleranceOf(options.toleranceMs);
  const { algorithm = "sha256", encoding = "hex", prefix = "", timestamp } = options;
  return {
    provider: "hmac",
    proves: typeof options.key === "object" && "header" in options.key ? "body" : "id",
    acceptedStatus: 202,
    onSuspectedReplay: "mark",
    conflictStatus: 200,
    toleranceMs: timestamp === undefined ? undefined : toleranceMs,
    facts: {},
    comparable: (body) => body,
    verify(incoming) {
      const secrets = secretsOf("hmac", options.secret);
      const header = single(incoming, options.header.toLowerCase());
      if ("refused" in header) return header.refused;
      if (header.value === undefined) return refuse("missing-signature", `The header ${options.header} is missing.`);
      const given = header.value.split(" ").filter((part) => part !== "");
      if (given.length > MOST_SIGNATURES) return refuse("too-many-signatures", "The header has too many signatures.");
      let before = "";
      if (timestamp !== undefined) {
        const time = single(incoming, timestamp.header.toLowerCase());
        if ("refused" in time) return time.refused;
        if (time.value === undefined) return refuse("malformed-header", `The header ${timestamp.header} is missing.`);
        const late = checkTimestamp(time.value, incoming.nowMs, toleranceMs);
        if (late !== undefined) return late;
        before = `${time.value}${timestamp.separator}`;
      }
      const candidates = given
        .map((part) => (part.startsWith(prefix) ? decode(part.slice(prefix.length), encoding) : undefined))
        .filter((bytes) => bytes !== undefined);
      const expected = secrets.map((secret) => mac(algorithm, secret.reveal(), before, incoming.body));
      if (!anyEqual(candidates, expected)) return refuse("bad-signature", "The signature does not match.");
      return keyed(incoming, options, "hmac");
    },
  };
}
