import type { Logger } from "../core/ports/logger.ts";
import type { QueryResult } from "../core/ports/store.ts";
import type { ClientLike, PoolLike } from "./driver.ts";
/**
 * Connections of one pool. A client whose statement failed for want of a connection, or whose cached plan was broken by
 * DDL (0A000), is destroyed, never handed on. Every client in use has an `error` listener: a server that is killed
 * must not end the process.
 */
export declare class Connections {
    #private;
    readonly pool: PoolLike;
    constructor(pool: PoolLike, schema: string, logger: Logger, prepared: boolean);
    /** The statement with the schema's quoted name in it: the only thing ever put into a statement. */
    placed(text: string): string;
    /**
     * The name of a prepared statement, where the connections are our own from end to end: a transaction pooler would lose
     * it. Statements that are made anew each time would fill the server's memory, so only the first ones get names.
     */
    named(text: string): {
        name: string;
    } | undefined;
    connect(): Promise<ClientLike>;
    release(client: ClientLike, destroy?: boolean): void;
    /** One statement in a transaction of its own. */
    run<Row>(text: string, values?: readonly unknown[]): Promise<QueryResult<Row>>;
}
/** Whether the connection that gave this error can be used again. */
export declare function isBroken(error: unknown): boolean;
