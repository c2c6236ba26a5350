import { isFault } from "../core/errors.ts";
import type { Clock, Random } from "../core/ports/clock.ts";
import type { Logger } from "../core/ports/logger.ts";
import type { RefusalReason, Source } from "../core/ports/source.ts";
import type { Acceptance, Arrival } from "../core/ports/store.ts";
import { arrival } from "./arrival.ts";
import type { BatchHandler, BatchOptions } from "./batch-face.ts";
import type { ConsumerOptions, Handler } from "./face.ts";
import { rawRequest, type RawRequest, type RawResponse, readBody, refuseUnread, storedHeaders } from "./request.ts";

/** The body's type for a topic, a `prefix.*` pattern, or `*`. */
export type EventOf<Events, Topic extends string> = Topic extends keyof Events
  ? Events[Topic]
  : Topic extends `${infer Prefix}.*`
    ? Events[Extract<keyof Events, `${Prefix}.${string}`>]
    : Events[keyof Events];

/** What an inbox needs from the instance that made it. */
export interface InboxHost {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  accept(arrival: Arrival): Promise<Acceptance>;
  countRefusal(source: string, reason: RefusalReason): void;
  register(source: string, topic: string, options: ConsumerOptions, handler: Handler<never>): void;
  registerBatch(source: string, topic: string, options: BatchOptions, handler: BatchHandler<any>): void;
}

/**
 * A route of the Web's shape, with a way in that costs no Web objects: `nevertwice/node` takes it. There is none where
 * the tenant is told by the Request.
 */
export interface Receive {
  (request: Request): Promise<Response>;
  readonly raw?: (request: RawRequest) => Promise<RawResponse>;
}

/**
 * Where one provider's messages come in.
 *
 * Guarantee: a 2xx is answered only after the COMMIT that holds the message and its deliveries. Whatever goes wrong
 * before that is answered 503 with Retry-After, and the sender's next copy is taken or recognised by its key.
 */
export class Inbox<Events extends object> {
  readonly name: string;
  readonly source: Source<Events>;
  readonly #host: InboxHost;
  readonly #limitBytes: number;

  constructor(
    host: InboxHost,
    name: string,
    source: Source<Events>,
    options: { bodyLimitBytes: number; tenant: ((request: Request) => string) | undefined },
  ) {
    this.#host = host;
    this.name = name;
    this.source = source;
    this.#limitBytes = options.bodyLimitBytes;
    const { tenant } = options;
    const receive = async (request: Request): Promise<Response> => {
      let raw: RawResponse;
      try {
        const told = tenant === undefined ? {} : { tenant: tenant(request) };
        raw = await this.receiveRaw({ ...rawRequest(request), ...told });
      } catch (error) {
        raw = this.#failure(error);
      }
      return new Response(raw.body, { status: raw.status, headers: raw.headers });
    };
    this.receive = tenant === undefined ? Object.assign(receive, { raw: this.receiveRaw }) : receive;
  }

  /**
   * Consumes this inbox's messages of a topic, of `prefix.*`, or of `*`.
   * Throws NT_OPTION and NT_CONSUMER_TWICE.
   */
  on<Topic extends (keyof Events & string) | (string & {})>(
    topic: Topic,
    handler: Handler<EventOf<Events, Topic>>,
  ): this;
  on<Topic extends (keyof Events & string) | (string & {})>(
    topic: Topic,
    options: ConsumerOptions,
    handler: Handler<EventOf<Events, Topic>>,
  ): this;
  on(topic: string, optionsOrHandler: ConsumerOptions | Handler<never>, handler?: Handler<never>): this {
    if (typeof optionsOrHandler === "function") this.#host.register(this.name, topic, {}, optionsOrHandler);
    else this.#host.register(this.name, topic, optionsOrHandler, handler as Handler<never>);
    return this;
  }

  /** As `on`, of many at once in one transaction; each member has an outcome of its own. */
  onBatch<Topic extends string>(
    topic: Topic,
    options: BatchOptions,
    handler: BatchHandler<EventOf<Events, Topic>>,
  ): this {
    this.#host.registerBatch(this.name, topic, options, handler);
    return this;
  }

  /** accept: verify, dedupe, persist, acknowledge. Never throws. */
  readonly receiveRaw = async (request: RawRequest): Promise<RawResponse> => {
    try {
      const unread = refuseUnread(request, this.#limitBytes);
      if (unread !== undefined) return this.#refuse(unread);
      const body = await readBody(request.body, this.#limitBytes);
      if (!(body instanceof Uint8Array)) return this.#refuse(body);
      const verdict = this.source.verify({ headers: request.headers, body, nowMs: this.#host.clock.now() });
      if (!verdict.ok) return this.#refuse(verdict);
      const accepted = await this.#host.accept(
        arrival(
          {
            tenant: request.tenant ?? "",
            source: this.name,
            key: verdict.key,
            topic: verdict.topic,
            headers: storedHeaders(request.headers),
            body,
            comparable: this.source.comparable(body),
            ...(this.source.proves === "body" ? { onReplay: this.source.onSuspectedReplay } : {}),
          },
          this.#host.clock,
          this.#host.random,
        ),
      );
      return this.#acknowledge(accepted);
    } catch (error) {
      return this.#failure(error);
    }
  };

  /** Takes a Web request; bound, so that it can be exported as a route. Never throws. */
  readonly receive: Receive;

  #acknowledge(accepted: Acceptance): RawResponse {
    switch (accepted.kind) {
      case "accepted":
        return answer(this.source.acceptedStatus, `{"status":"accepted","id":"${accepted.id}"}`);
      case "duplicate":
        return answer(200, `{"status":"duplicate","id":"${accepted.id}"}`);
      case "conflict":
        return answer(this.source.conflictStatus, `{"status":"conflict","id":"${accepted.id}"}`);
      case "replayed":
        this.#host.countRefusal(this.name, "replayed-body");
        return answer(409, `{"status":"refused","reason":"replayed-body","id":"${accepted.id}"}`);
    }
  }

  #refuse(refused: { status: number; reason: RefusalReason; detail: string }): RawResponse {
    this.#host.countRefusal(this.name, refused.reason);
    const response = answer(
      refused.status,
      JSON.stringify({ status: "refused", reason: refused.reason, detail: refused.detail }),
    );
    if (refused.status === 405) return { ...response, headers: { ...response.headers, allow: "POST" } };
    // The rest of a body that is too large is not read: the connection cannot be used again.
    if (refused.status === 413) return { ...response, headers: { ...response.headers, connection: "close" } };
    return response;
  }

  #failure(error: unknown): RawResponse {
    this.#host.logger.error({ source: this.name, error }, "message not accepted");
    if (isFault(error, "NT_BODY_PARSED")) {
      return answer(500, JSON.stringify({ status: "error", code: error.code, next: error.next }));
    }
    const response = answer(503, `{"status":"unavailable","next":"Send it again; nothing was acknowledged."}`);
    return { ...response, headers: { ...response.headers, "retry-after": "5" } };
  }
}

const JSON_HEADERS = { "content-type": "application/json" };

function answer(status: number, body: string): RawResponse {
  return { status, headers: JSON_HEADERS, body };
}
