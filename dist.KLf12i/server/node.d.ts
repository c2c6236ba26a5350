/**
 * Node's `(req, res)` and a handler of the Web's shape: `nevertwice/node`.
 *
 * An inbox's `receive` is served without Web objects, which cost as much as all the rest of a request. Its body is
 * counted while it streams, and its header lines are read as they came: two lines of one name stay two.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Receive } from "../runtime/inbox.ts";
/**
 * Adapts an inbox (or any Web handler) to Node's http server, Express, and whatever hands on `req` and `res`.
 * Mount it before any body parser; a parser that kept the bytes (`express.raw()`) is fine. A parser that did not is
 * answered 500 with NT_BODY_PARSED, which says how to mount it: nothing is lost, the sender comes again. Never throws.
 *
 * @example app.post("/hooks/stripe", toNode(payments.receive));
 */
export declare function toNode(handler: Receive | ((request: Request) => Response | Promise<Response>)): (req: IncomingMessage, res: ServerResponse) => void;
