import { hash } from "node:crypto";
import { fault } from "../core/errors.ts";
import { uuidv7 } from "../core/id.ts";
import type { Clock, Random } from "../core/ports/clock.ts";
import type { Arrival, Unique } from "../core/ports/store.ts";
import { checkName, JOBS, OWN } from "../core/topic.ts";

/** The first 16 bytes of sha-256, in hex: 2^64 keys before a collision is likely, in the width of a uuid. */
export function digest(...parts: readonly string[]): string {
  let framed = "";
  // The length before each part, so that ("ab", "c") and ("a", "bc") never meet.
  for (const part of parts) framed += `${Buffer.byteLength(part)}:${part}`;
  return bytesDigest(framed);
}

/** As `digest`, of bytes as they are: they are not copied for it. */
export function bytesDigest(bytes: string | Uint8Array): string {
  return hash("sha256", bytes, "hex").slice(0, 32);
}

export interface Parcel {
  readonly tenant: string;
  readonly source: string;
  readonly key: string | undefined;
  readonly topic: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** The bytes that decide whether a second copy is the same. */
  readonly comparable: Uint8Array;
  /** Set where the signature does not cover the id. */
  readonly onReplay?: "mark" | "refuse";
  readonly delayMs?: number;
  readonly runAtMs?: number;
  readonly priority?: number;
  readonly expireAfterMs?: number;
  readonly unique?: Unique;
}

/** Gives a message its id and its hashes. Without a key its id is its key: repeated after an unknown COMMIT it is absorbed. */
export function arrival(parcel: Parcel, clock: Clock, random: Random): Arrival {
  const id = uuidv7(clock.now(), random.bytes(10));
  const { key } = parcel;
  return {
    id,
    tenant: parcel.tenant,
    source: parcel.source,
    key: key ?? id,
    topic: parcel.topic,
    headers: parcel.headers,
    body: parcel.body,
    ...(key === undefined ? {} : { keyHash: keyHash(parcel, key), bodyHash: bytesDigest(parcel.comparable) }),
    ...(parcel.onReplay === undefined
      ? {}
      : {
          replayHash: digest("body", parcel.tenant, parcel.source, bytesDigest(parcel.body)),
          refuseReplay: parcel.onReplay === "refuse",
        }),
    ...(parcel.delayMs === undefined ? {} : { delayMs: parcel.delayMs }),
    ...(parcel.runAtMs === undefined ? {} : { runAtMs: parcel.runAtMs }),
    ...(parcel.priority === undefined ? {} : { priority: parcel.priority }),
    ...(parcel.expireAfterMs === undefined ? {} : { expireAfterMs: parcel.expireAfterMs }),
    ...(parcel.unique === undefined ? {} : { unique: parcel.unique }),
  };
}

/** Keys of different jobs never meet. */
function keyHash({ tenant, source, topic }: Parcel, key: string): string {
  return digest("key", tenant, source === JOBS ? `${JOBS}:${topic}` : source, key);
}

/** A message of our own: bytes and strings as they are, everything else as JSON. */
export function ownParcel(
  topic: string,
  payload: unknown,
  options: { key?: string | undefined; delayMs?: number | undefined; tenant?: string | undefined },
): Parcel {
  const body = payloadBytes(payload);
  const { key, delayMs, tenant = "" } = options;
  if (key !== undefined) checkKey(key);
  if (delayMs !== undefined) checkSpan("delayMs", delayMs);
  return {
    tenant,
    source: OWN,
    key,
    topic: checkName("topic", topic),
    headers: {},
    body,
    comparable: body,
    ...(delayMs === undefined ? {} : { delayMs }),
  };
}

export function checkKey(key: string): string {
  // A lone surrogate has no UTF-8: two keys with different ones would be stored, and hashed, as one.
  if (typeof key === "string" && key !== "" && key.length <= 512 && !/\0|\p{Surrogate}/u.test(key)) return key;
  throw fault("NT_OPTION", {
    expected: "a key of 1 to 512 characters, well-formed and without NUL",
    got: JSON.stringify(String(key).slice(0, 60)),
  });
}

export function checkSpan(name: string, ms: number): number {
  if (ms >= 0 && ms <= 3_650 * 86_400_000) return ms;
  throw fault("NT_OPTION", { expected: `${name} from 0 ms to ten years`, got: String(ms) });
}

export function payloadBytes(payload: unknown): Uint8Array {
  return payload instanceof Uint8Array ? payload : Buffer.from(payloadJson(payload));
}

/** Throws NT_PAYLOAD where JSON cannot hold it. */
export function payloadJson(payload: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(payload);
  } catch (cause) {
    throw fault("NT_PAYLOAD", { got: cause instanceof Error ? cause.message : String(cause), cause });
  }
  if (text === undefined) throw fault("NT_PAYLOAD", { got: typeof payload });
  return text;
}
