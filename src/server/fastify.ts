/**
 * Inboxes as a Fastify plugin: `nevertwice/fastify`.
 *
 * Fastify parses a body before a route's handler sees the request, and the bytes that a signature is over are gone then. Parsers
 * belong to a scope, so the plugin has one of its own whose parser leaves the body unread. It must not be wrapped by
 * `fastify-plugin`, which takes the scope away.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { checkOptions, fault } from "../core/errors.ts";
import type { Receive } from "../runtime/inbox.ts";
import type { Runtime } from "../runtime/nevertwice.ts";
import { toNode } from "./node.ts";

export interface FastifyOptions {
  /** What takes the messages of each path: `{ "/hooks/stripe": payments.receive }`. */
  readonly routes: Readonly<Record<string, Receive>>;
  /** Is stopped with the app, after the last request was answered. */
  readonly nt?: Runtime;
  /** Whether the workers of `nt` start when the app is ready. @default false */
  readonly work?: boolean;
  /** How long running handlers have when the app closes. @default 20000 */
  readonly stopDeadlineMs?: number;
}

/** The shape of Fastify's instance that we use. */
interface Scope {
  removeAllContentTypeParsers(): unknown;
  addContentTypeParser(contentType: string, parser: (request: any, body: any, done: any) => void): unknown;
  post(path: string, handler: (request: any, reply: any) => any): unknown;
  addHook(name: any, hook: any): unknown;
}

interface Reply {
  readonly raw: ServerResponse;
  hijack(): unknown;
}

/** Ours, and what Fastify's `register` takes for itself. */
const OPTIONS = ["routes", "nt", "work", "stopDeadlineMs", "prefix", "logLevel", "logSerializers"];

/**
 * Throws NT_OPTION.
 *
 * @example await app.register(nevertwice, { nt, work: true, routes: { "/hooks/stripe": payments.receive } });
 */
export async function nevertwice(scope: Scope, options: FastifyOptions): Promise<void> {
  checkOptions("the plugin of nevertwice/fastify", options, OPTIONS);
  const { nt, routes, work = false, stopDeadlineMs } = options;
  if (work && nt === undefined) throw fault("NT_OPTION", { expected: "`nt` beside `work: true`", got: "none" });
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser("*", (_request, _body, done: (error: null) => void) => done(null));
  for (const [path, receive] of Object.entries(routes)) {
    const handle = toNode(receive);
    scope.post(path, (request: { readonly raw: IncomingMessage }, reply: Reply) => {
      // Fastify's own answer would be sent, too.
      reply.hijack();
      return handle(request.raw, reply.raw);
    });
  }
  if (nt === undefined) return;
  if (work) scope.addHook("onReady", () => nt.start());
  scope.addHook("onClose", () => nt.stop(stopDeadlineMs === undefined ? {} : { deadlineMs: stopDeadlineMs }));
}
