/**
 * Node's `(req, res)` and a handler of the Web's shape: `nevertwice/node`.
 *
 * An inbox's `receive` is served without Web objects, which cost as much as all the rest of a request. Its body is
 * counted while it streams, and its header lines are read as they came: two lines of one name stay two.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { fault, isFault } from "../core/errors.ts";
import type { Receive } from "../runtime/inbox.ts";
import type { BodyReader, RawRequest, RawResponse } from "../runtime/request.ts";

/** What a body parser that ran first may have left behind. */
type Parsed = IncomingMessage & { readonly body?: unknown; readonly rawBody?: unknown };

/**
 * Adapts an inbox (or any Web handler) to Node's http server, Express, and whatever hands on `req` and `res`.
 * Mount it before any body parser; a parser that kept the bytes (`express.raw()`) is fine. A parser that did not is
 * answered 500 with NT_BODY_PARSED, which says how to mount it: nothing is lost, the sender comes again. Never throws;
 * resolves when it has answered.
 *
 * @example app.post("/hooks/stripe", toNode(payments.receive));
 */
export function toNode(
  handler: Receive | ((request: Request) => Response | Promise<Response>),
): (req: IncomingMessage, res: ServerResponse) => Promise<void> {
  return async (req, res) => {
    try {
      const receive = "raw" in handler ? handler.raw : undefined;
      await (receive === undefined ? web(handler, req, res) : raw(receive, req, res));
    } catch (error) {
      const code = isFault(error) ? { code: error.code, next: error.next } : { next: "Send it again." };
      if (res.headersSent) res.destroy();
      else end(res, { status: 500, headers: JSON_TYPE, body: JSON.stringify({ status: "error", ...code }) });
    }
  };
}

const JSON_TYPE = { "content-type": "application/json" };

async function raw(
  receive: (request: RawRequest) => Promise<RawResponse>,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const answer = await receive({
    method: req.method ?? "GET",
    headers: headersOf(req.rawHeaders),
    body: readerOf(req),
  });
  end(res, answer);
}

async function web(
  handler: (request: Request) => Response | Promise<Response>,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const headers = new Headers();
  for (const [name, values] of headersOf(req.rawHeaders)) for (const value of values) headers.append(name, value);
  const bodiless = req.method === "GET" || req.method === "HEAD";
  const request = new Request(new URL(req.url ?? "/", `http://${req.headers.host ?? "localhost"}`), {
    method: req.method ?? "GET",
    headers,
    ...(bodiless ? {} : { body: webBody(bodyOf(req)), duplex: "half" }),
  });
  const response = await handler(request);
  const body = Buffer.from(await response.arrayBuffer());
  end(res, { status: response.status, headers: Object.fromEntries(response.headers), body });
}

function webBody(body: Uint8Array | IncomingMessage): ReadableStream<Uint8Array> {
  return ReadableStream.from(body instanceof Uint8Array ? [body] : body);
}

function end(res: ServerResponse, answer: { status: number; headers: object; body: string | Buffer }): void {
  res.writeHead(answer.status, { ...answer.headers, "content-length": Buffer.byteLength(answer.body) });
  res.end(answer.body);
}

/** Header lines as they came, by name in lower case. */
function headersOf(lines: readonly string[]): Map<string, string[]> {
  const headers = new Map<string, string[]>();
  for (let i = 0; i + 1 < lines.length; i += 2) {
    const name = (lines[i] as string).toLowerCase();
    const value = lines[i + 1] as string;
    const known = headers.get(name);
    if (known === undefined) headers.set(name, [value]);
    else known.push(value);
  }
  return headers;
}

/** As `bodyOf`, by the stream's events: its iterator costs as much as the signature's check. */
function readerOf(req: Parsed): Uint8Array | BodyReader {
  const kept = bodyOf(req);
  if (kept instanceof Uint8Array) return kept;
  return (limitBytes) =>
    new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let length = 0;
      const end = (): void => resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks, length));
      const take = (chunk: Buffer): void => {
        length += chunk.length;
        if (length <= limitBytes) {
          chunks.push(chunk);
          return;
        }
        req.off("data", take);
        req.off("end", end);
        req.pause();
        resolve(undefined);
      };
      req.on("data", take);
      req.once("end", end);
      req.once("error", reject);
      req.once("close", () => {
        if (!req.readableEnded) reject(new Error("the connection ended before the body"));
      });
    });
}

/** The bytes, from the stream or from a parser that kept them. Throws NT_BODY_PARSED where they are gone. */
function bodyOf(req: Parsed): Uint8Array | IncomingMessage {
  if (req.rawBody instanceof Uint8Array) return req.rawBody;
  if (req.body instanceof Uint8Array) return req.body;
  if (req.readableDidRead || req.readableEnded) {
    throw fault("NT_BODY_PARSED", { got: `a request that was read already, as ${typeof req.body}` });
  }
  return req;
}
