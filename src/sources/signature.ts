import { createHmac, timingSafeEqual, type KeyObject } from "node:crypto";
import { fault } from "../core/errors.ts";
import type { Incoming, RefusalReason, Refused } from "../core/ports/source.ts";
import { readSecrets, type Secret, type SecretOption } from "../core/secret.ts";

/** More signatures than any rotation needs: each costs a comparison, so their number is bounded. */
export const MOST_SIGNATURES = 16;

const PRINTABLE = /^[\x20-\x7e]{1,512}$/;

export function refuse(reason: RefusalReason, detail: string, status: 400 | 401 = 401): Refused {
  return { ok: false, reason, status, detail };
}

/** The secrets as they are now. Throws NT_SECRET_MISSING: a source without one accepts nothing. */
export function secretsOf(provider: string, option: SecretOption): readonly Secret[] {
  const secrets = readSecrets(option);
  if (secrets.length === 0) throw fault("NT_SECRET_MISSING", { got: `none for source \`${provider}\`` });
  return secrets;
}

/** Equality in constant time over raw bytes. A length that differs is no secret. */
function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

export function hmac(
  algorithm: string,
  secret: string | Uint8Array | KeyObject,
  ...parts: readonly (string | Uint8Array)[]
): Buffer {
  const mac = createHmac(algorithm, secret);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/** Whether any candidate equals any expected one; all are compared, so that the time tells nothing. */
export function anyEqual(candidates: readonly Uint8Array[], expected: readonly Uint8Array[]): boolean {
  let found = false;
  for (const candidate of candidates) for (const one of expected) found = equal(candidate, one) || found;
  return found;
}

/** Hex or base64 of exactly the expected length, or undefined: decoders that skip what they do not know are not used. */
export function decode(text: string, encoding: "hex" | "base64" | "base64url"): Buffer | undefined {
  const shape = { hex: /^(?:[0-9a-f]{2})+$/i, base64: /^[A-Za-z0-9+/]+={0,2}$/, base64url: /^[A-Za-z0-9_-]+={0,2}$/ };
  return shape[encoding].test(text) ? Buffer.from(text, encoding) : undefined;
}

/**
 * The one value of a header. Sent twice, or joined by a framework with a comma, it is refused: two readers of one
 * request could otherwise see two different ids.
 */
export function single(
  incoming: Incoming,
  name: string,
  options: { commas: boolean } = { commas: false },
): { value: string | undefined } | { refused: Refused } {
  const values = incoming.headers.get(name);
  if (values === undefined || values.length === 0) return { value: undefined };
  const [value = ""] = values;
  if (values.length > 1 || (!options.commas && value.includes(","))) {
    return { refused: refuse("repeated-header", `The header ${name} came more than once.`) };
  }
  const limit = options.commas ? value.length <= 4_096 : PRINTABLE.test(value);
  if (!limit)
    return { refused: refuse("malformed-header", `The header ${name} is empty, too long, or not printable.`) };
  return { value };
}

/** Digits only, in seconds, neither too old nor in the future. */
export function checkTimestamp(text: string, nowMs: number, toleranceMs: number): Refused | undefined {
  if (!/^\d{1,12}$/.test(text)) return refuse("malformed-header", "The timestamp is not a number of seconds.");
  const age = nowMs - Number(text) * 1_000;
  if (age > toleranceMs) return refuse("timestamp-too-old", "The timestamp is too old.");
  if (age < -toleranceMs) return refuse("timestamp-in-future", "The timestamp lies in the future.");
  return undefined;
}

export function toleranceOf(given: number | undefined): number {
  const toleranceMs = given ?? 300_000;
  if (toleranceMs > 0 && toleranceMs <= 86_400_000) return toleranceMs;
  throw fault("NT_OPTION", { expected: "toleranceMs above 0 and up to a day", got: String(given) });
}

/** A key or a topic taken from a body: bounded and printable, or the message cannot be taken. */
export function printable(value: string | undefined): value is string {
  return value !== undefined && PRINTABLE.test(value);
}
