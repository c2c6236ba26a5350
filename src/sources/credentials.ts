import { createHash } from "node:crypto";
import { checkOptions, fault } from "../core/errors.ts";
import type { Source, Verdict, Incoming } from "../core/ports/source.ts";
import type { SecretOption } from "../core/secret.ts";
import { keyed, type KeyedOptions } from "./keyed.ts";
import { anyEqual, refuse, secretsOf, single } from "./signature.ts";

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

/** What these have in common: the proof, if any, says who sends and nothing of what was sent. */
function unsigned<Events extends object>(provider: string, verify: (incoming: Incoming) => Verdict): Source<Events> {
  return {
    provider,
    proves: "nothing",
    acceptedStatus: 202,
    onSuspectedReplay: "mark",
    conflictStatus: 409,
    toleranceMs: undefined,
    facts: {},
    comparable: (body) => body,
    verify,
  };
}

function authorised(incoming: Incoming, scheme: RegExp, secrets: readonly string[]): Verdict | undefined {
  const header = single(incoming, "authorization");
  if ("refused" in header) return header.refused;
  const given = header.value === undefined ? undefined : scheme.exec(header.value)?.[1];
  if (given === undefined)
    return refuse("bad-credentials", "The header authorization is missing or of another scheme.");
  // Hashes are of one length: not even the secret's length shows in the time.
  const hash = (text: string): Buffer => createHash("sha256").update(text).digest();
  if (anyEqual([hash(given)], secrets.map(hash))) return undefined;
  return refuse("bad-credentials", "The credentials do not match.");
}

/** HTTP Basic (RFC 7617). Credentials only: whoever has them can send anything. Throws NT_OPTION, NT_SECRET_MISSING. */
export function basic<Events extends object = Record<string, any>>(options: BasicOptions): Source<Events> {
  checkOptions("basic()", options, ["secret", "key", "topic"]);
  return unsigned("basic", (incoming) => {
    const expected = secretsOf("basic", options.secret).map((secret) =>
      Buffer.from(secret.reveal()).toString("base64"),
    );
    return authorised(incoming, /^basic ([A-Za-z0-9+/]+={0,2})$/i, expected) ?? keyed(incoming, options, "basic");
  });
}

/** A bearer token (RFC 6750). Credentials only: whoever has them can send anything. Throws NT_OPTION, NT_SECRET_MISSING. */
export function bearer<Events extends object = Record<string, any>>(options: BearerOptions): Source<Events> {
  checkOptions("bearer()", options, ["secret", "key", "topic"]);
  return unsigned("bearer", (incoming) => {
    const expected = secretsOf("bearer", options.secret).map((secret) => secret.reveal());
    return authorised(incoming, /^bearer ([A-Za-z0-9._~+/=-]+)$/i, expected) ?? keyed(incoming, options, "bearer");
  });
}

/** No proof at all, for a sender inside one's own network. Throws NT_OPTION unless it is asked for by name. */
export function none<Events extends object = Record<string, any>>(options: NoneOptions): Source<Events> {
  checkOptions("none()", options, ["acceptAnybody", "key", "topic"]);
  if (options.acceptAnybody !== true) {
    throw fault("NT_OPTION", { expected: "acceptAnybody: true", got: String(options.acceptAnybody) });
  }
  return unsigned("none", (incoming) => keyed(incoming, options, "none"));
}
