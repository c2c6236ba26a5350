import type { Clock, Random } from "../core/ports/clock.ts";
import type { Logger } from "../core/ports/logger.ts";
import type { RefusalReason, Source } from "../core/ports/source.ts";
import type { Acceptance, Arrival } from "../core/ports/store.ts";
import type { ConsumerOptions, Handler } from "./face.ts";
import { type RawRequest, type RawResponse } from "./request.ts";
/** The body's type for a topic, a `prefix.*` pattern, or `*`. */
export type EventOf<Events, Topic extends string> = Topic extends keyof Events ? Events[Topic] : Topic extends `${infer Prefix}.*` ? Events[Extract<keyof Events, `${Prefix}.${string}`>] : Events[keyof Events];
/** What an inbox needs from the instance that made it. */
export interface InboxHost {
    readonly clock: Clock;
    readonly random: Random;
    readonly logger: Logger;
    accept(arrival: Arrival): Promise<Acceptance>;
    countRefusal(source: string, reason: RefusalReason): void;
    register(source: string, topic: string, options: ConsumerOptions, handler: Handler<never>): void;
}
/** A route of the Web's shape, with a way in that costs no Web objects: `nevertwice/node` takes it. */
export interface Receive {
    (request: Request): Promise<Response>;
    readonly raw: (request: RawRequest) => Promise<RawResponse>;
}
/**
 * Where one provider's messages come in.
 *
 * Guarantee: a 2xx is answered only after the COMMIT that holds the message and its deliveries. Whatever goes wrong
 * before that is answered 503 with Retry-After, and the sender's next copy is taken or recognised by its key.
 */
export declare class Inbox<Events extends object> {
    #private;
    readonly name: string;
    readonly source: Source<Events>;
    constructor(host: InboxHost, name: string, source: Source<Events>, options: {
        bodyLimitBytes: number;
        tenant: ((request: Request) => string) | undefined;
    });
    /**
     * Consumes this inbox's messages of a topic, of `prefix.*`, or of `*`.
     * Throws NT_OPTION and NT_CONSUMER_TWICE.
     */
    on<Topic extends (keyof Events & string) | (string & {})>(topic: Topic, handler: Handler<EventOf<Events, Topic>>): this;
    on<Topic extends (keyof Events & string) | (string & {})>(topic: Topic, options: ConsumerOptions, handler: Handler<EventOf<Events, Topic>>): this;
    /** accept: verify, dedupe, persist, acknowledge. Never throws. */
    readonly receiveRaw: (request: RawRequest) => Promise<RawResponse>;
    /** Takes a Web request; bound, so that it can be exported as a route. */
    readonly receive: Receive;
}
