import type { Logger } from "../core/ports/logger.ts";
import type { Source } from "../core/ports/source.ts";
import type { Store } from "../core/ports/store.ts";
import { type Consumer } from "./consumer.ts";
import type { ConsumerOptions, Database, Handler, InboxOptions, NevertwiceOptions, SendOptions, Sent } from "./face.ts";
import { Inbox } from "./inbox.ts";
export type OpenStore = (database: Exclude<Database, Store>, options: {
    schema: string;
    logger: Logger;
    preparedStatements?: boolean;
}) => Promise<Store>;
/**
 * Receives, processes and sends messages so that none is lost and none takes effect twice.
 *
 * Guarantee: docs/guarantees.md. Constructing does no I/O; the database is opened at first use.
 * Throws NT_OPTION for an option it does not know, and NT_DATABASE_MISSING at first use.
 */
export declare class Runtime {
    #private;
    /** The name of the schema that holds the tables. */
    readonly schema: string;
    readonly dedupeDays: number;
    readonly inboxes: Map<string, Inbox<any>>;
    readonly consumers: Map<string, Consumer>;
    constructor(options: NevertwiceOptions, open: OpenStore);
    /**
     * A place where one provider's messages come in; `name` is the source of its messages.
     * Throws NT_OPTION when the name is taken.
     */
    inbox<Events extends object>(name: string, source: Source<Events>, options?: InboxOptions): Inbox<Events>;
    /** Consumes our own messages of a topic, of `prefix.*`, or of `*`. Throws NT_OPTION and NT_CONSUMER_TWICE. */
    on<Event = any>(topic: string, handler: Handler<Event>): this;
    on<Event = any>(topic: string, options: ConsumerOptions, handler: Handler<Event>): this;
    /**
     * Sends to a topic of our own. Resolves after the COMMIT that holds the message and its deliveries; with a `key`, a
     * second call within the dedupe window is absorbed. Throws NT_PAYLOAD, NT_OPTION, and NT_ACCEPT_UNKNOWN.
     */
    send(topic: string, payload: unknown, options?: SendOptions): Promise<Sent>;
    /** Sends many; they share their commits. The answers are in the order of the messages. */
    sendMany(messages: readonly ({
        readonly topic: string;
        readonly payload: unknown;
    } & SendOptions)[]): Promise<Sent[]>;
    /** Opens the database, brings the schema up to date as `migrate` says, and declares the consumers. */
    ready(): Promise<Store>;
    /** Begins to work on what is due for the consumers declared so far. */
    start(): Promise<void>;
    /**
     * Stops gracefully: claims no more, lets running handlers end until the deadline, gives back the rest, closes the
     * database. Handlers that do not end in time are rolled back and run elsewhere.
     */
    stop(options?: {
        readonly deadlineMs?: number;
    }): Promise<void>;
    /** Whether this process can do its work now: the database answers, and the worker, where there is one, goes round. */
    readiness(): Promise<{
        ready: boolean;
        database: "answers" | "away";
        worker: "works" | "stands still" | "none";
    }>;
}
