import type { Clock, Random } from "../core/ports/clock.ts";
import type { Logger } from "../core/ports/logger.ts";
import type { Claimed, QueryResult } from "../core/ports/store.ts";
import type { Consumer } from "./consumer.ts";
import type { SendOptions, Sent, Tx } from "./face.ts";
import type { Lanes } from "./lane.ts";
import type { Turn } from "./turn.ts";
/** Thrown into a handler whose run must be repeated alone, through no fault of its own. Not an attempt, not an error. */
export declare class RunAgainAlone extends Error {
    readonly name = "RunAgainAlone";
}
/** `tx` and `send` of one execution: opened at first use, revoked when the handler ends. */
export declare class HandlerTx implements Tx {
    #private;
    turn: Turn | undefined;
    mustRunAgain: boolean;
    constructor(lanes: Lanes, claimed: Claimed, consumer: Consumer, alone: boolean, host: {
        readonly clock: Clock;
        readonly random: Random;
        readonly logger: Logger;
    });
    query<Row = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<QueryResult<Row>>;
    /**
     * The key is hash(message, consumer, `key` or content, ordinal among equals): not the order of calls, which
     * Promise.all and a deploy change. A replay finds what it sent before.
     */
    send(topic: string, payload: unknown, options?: SendOptions): Promise<Sent>;
    /** The transaction is open now. */
    get open(): boolean;
    /** Neighbours may have uncommitted writes in it. */
    get grouped(): boolean;
    /** Leaves the groups for good and runs this delivery again alone. */
    leaveGroups(): never;
    /** Throws when a statement is still under way, or failed and its error was swallowed. */
    checkUsable(): void;
    revoke(): void;
}
