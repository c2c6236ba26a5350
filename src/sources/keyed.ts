import { createHash } from "node:crypto";
import { fault } from "../core/errors.ts";
import type { Incoming, Refused, Verdict } from "../core/ports/source.ts";
import { scalarAt } from "./json-text.ts";
import { printable, refuse, single } from "./signature.ts";

/** Where a source without a convention of its own finds the key and the topic of a message. */
export interface KeyedOptions {
  /**
   * A header (`{ header: "x-request-id" }`), a member of the body by JSON Pointer (`{ pointer: "/data/id" }`), or
   * `"body-hash"`: equal bodies are then one message, which swallows genuine repeats.
   */
  readonly key: { readonly header: string } | { readonly pointer: string } | "body-hash";
  /** A constant, a header, or a member of the body. @default the provider's name */
  readonly topic?: string | { readonly header: string } | { readonly pointer: string };
}

/** Key and topic of a request whose sender has been proved as far as the source can. */
export function keyed(incoming: Incoming, options: KeyedOptions, provider: string): Verdict {
  let key: string | undefined;
  if (options.key === "body-hash") key = createHash("sha256").update(incoming.body).digest("hex");
  else {
    const found = lookUp(incoming, options.key);
    if ("refused" in found) return { ...found.refused, status: 400 };
    key = found.value;
  }
  if (!printable(key)) return refuse("missing-id", "The message has no usable id.", 400);
  if (options.topic === undefined || typeof options.topic === "string") {
    return { ok: true, key, topic: options.topic ?? provider };
  }
  const topic = lookUp(incoming, options.topic);
  if ("refused" in topic) return { ...topic.refused, status: 400 };
  if (!printable(topic.value)) return refuse("missing-topic", "The message has no usable topic.", 400);
  return { ok: true, key, topic: topic.value };
}

function lookUp(
  incoming: Incoming,
  place: { readonly header: string } | { readonly pointer: string },
): { value: string | undefined } | { refused: Refused } {
  if ("header" in place) return single(incoming, place.header.toLowerCase());
  return { value: scalarAt(incoming.body, pointerPath(place.pointer)) };
}

/** RFC 6901, for members of objects. */
function pointerPath(pointer: string): readonly string[] {
  if (!pointer.startsWith("/")) {
    throw fault("NT_OPTION", { expected: "a JSON Pointer such as `/data/id`", got: `\`${pointer}\`` });
  }
  return pointer
    .slice(1)
    .split("/")
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}
