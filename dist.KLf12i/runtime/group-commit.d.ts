/**
 * Many callers share one durable statement.
 *
 * Items that arrive while a flush is under way wait for the next one; a flush starts when the previous one is
 * durable. There is no timer, so a lone item waits for nothing, and the busier it gets the larger the batches grow.
 *
 * A batch that fails because of one of its items is split until only the culprit fails. A batch that fails because
 * the database is away fails whole: asking 256 times would not make it come back.
 */
export declare class GroupCommit<Item, Result> {
    #private;
    constructor(flush: (items: readonly Item[]) => Promise<readonly Result[]>, options: {
        most: number;
        flushes: number;
    });
    add(item: Item): Promise<Result>;
    /** Resolves when nothing waits and nothing is under way. */
    drained(): Promise<void>;
}
/** The SQLSTATE of a driver's error, also where it is the cause of one of ours. */
export declare function sqlState(error: unknown): string | undefined;
