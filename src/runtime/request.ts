import { fault } from "../core/errors.ts";
import type { RefusalReason } from "../core/ports/source.ts";

/** A request without the weight of Web objects: what the server and `nevertwice/node` hand over. */
export interface RawRequest {
  readonly method: string;
  /** Names in lower case; a header sent twice has two values. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
  readonly body: Uint8Array | AsyncIterable<Uint8Array> | BodyReader | null;
  readonly tenant?: string;
}

/** Reads a whole body of at most so many bytes; undefined as soon as it is one byte too long. */
export type BodyReader = (limitBytes: number) => Promise<Uint8Array | undefined>;

export interface RawResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Unreadable {
  readonly status: 405 | 413 | 415;
  readonly reason: RefusalReason;
  readonly detail: string;
}

/** What can be refused before a byte of the body is read. */
export function refuseUnread(request: RawRequest, limitBytes: number): Unreadable | undefined {
  if (request.method !== "POST") {
    return { status: 405, reason: "method-not-allowed", detail: "Messages are sent with POST." };
  }
  const encoding = request.headers.get("content-encoding")?.join(", ").trim().toLowerCase();
  if (encoding !== undefined && encoding !== "" && encoding !== "identity") {
    return { status: 415, reason: "unsupported-encoding", detail: "Send the body without content-encoding." };
  }
  const announced = Number(request.headers.get("content-length")?.[0] ?? 0);
  return announced > limitBytes ? tooLarge(limitBytes) : undefined;
}

/** The whole body, or a refusal as soon as it is one byte too long. */
export async function readBody(body: RawRequest["body"], limitBytes: number): Promise<Uint8Array | Unreadable> {
  if (body === null) return new Uint8Array(0);
  if (body instanceof Uint8Array) return body.length > limitBytes ? tooLarge(limitBytes) : body;
  if (typeof body === "function") return (await body(limitBytes)) ?? tooLarge(limitBytes);
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > limitBytes) return tooLarge(limitBytes);
    chunks.push(chunk);
  }
  return chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks, length);
}

function tooLarge(limitBytes: number): Unreadable {
  return { status: 413, reason: "too-large", detail: `The body is larger than ${limitBytes} bytes.` };
}

/** A Web request as a raw one. Throws NT_BODY_PARSED when somebody has read the body already. */
export function rawRequest(request: Request): RawRequest {
  if (request.bodyUsed) throw fault("NT_BODY_PARSED", { got: "a request whose body was read already" });
  const headers = new Map<string, readonly string[]>();
  for (const [name, value] of request.headers) headers.set(name, [value]);
  return { method: request.method, headers, body: request.body };
}

/** Credentials are never stored; neither is what belongs to the connection. */
const UNSTORED = new Set([
  "authorization",
  "proxy-authorization",
  "cookie",
  "connection",
  "keep-alive",
  "transfer-encoding",
  "te",
  "trailer",
  "upgrade",
  "content-length",
  "accept",
  "accept-encoding",
  "host",
]);

export function storedHeaders(headers: RawRequest["headers"]): Record<string, string> {
  const stored: Record<string, string> = {};
  for (const [name, values] of headers)
    if (!UNSTORED.has(name)) stored[name] = values.length === 1 ? (values[0] as string) : values.join(", ");
  return stored;
}
