/**
 * Many callers share one durable statement.
 *
 * Items that arrive while a flush is under way wait for the next one; a flush starts when the previous one is
 * durable. There is no timer, so a lone item waits for nothing, and the busier it gets the larger the batches grow.
 *
 * A batch that fails because of one of its items is split until only the culprit fails. A batch that fails because
 * the database is away fails whole: asking 256 times would not make it come back.
 */
export class GroupCommit {
    #flush;
    #most;
    #flushes;
    #waiting = [];
    #running = 0;
    #idle = [];
    constructor(flush, options) {
        this.#flush = flush;
        this.#most = options.most;
        this.#flushes = options.flushes;
    }
    add(item) {
        return new Promise((resolve, reject) => {
            this.#waiting.push({ item, resolve, reject });
            // One microtask later, so that what one turn of the event loop brings goes out together.
            if (this.#waiting.length === 1)
                queueMicrotask(() => this.#start());
        });
    }
    /** Resolves when nothing waits and nothing is under way. */
    drained() {
        if (this.#running === 0 && this.#waiting.length === 0)
            return Promise.resolve();
        return new Promise((resolve) => this.#idle.push(resolve));
    }
    #start() {
        while (this.#running < this.#flushes && this.#waiting.length > 0) {
            const batch = this.#waiting.splice(0, this.#most);
            this.#running++;
            void this.#run(batch).finally(() => {
                this.#running--;
                this.#start();
                if (this.#running === 0 && this.#waiting.length === 0)
                    for (const idle of this.#idle.splice(0))
                        idle();
            });
        }
    }
    async #run(batch) {
        try {
            const results = await this.#flush(batch.map((entry) => entry.item));
            for (const [i, entry] of batch.entries())
                entry.resolve(results[i]);
        }
        catch (error) {
            if (batch.length === 1 || !blamesAnItem(error)) {
                for (const entry of batch)
                    entry.reject(error);
                return;
            }
            const half = batch.length >> 1;
            await this.#run(batch.slice(0, half));
            await this.#run(batch.slice(half));
        }
    }
}
/**
 * By SQLSTATE: a data error (22), a constraint (23), a lock or a deadlock (40, 55) is some item's fault; no state at
 * all, a lost connection (08), a full disk (53) or a shutdown (57) is nobody's.
 */
function blamesAnItem(error) {
    const state = sqlState(error);
    return state !== undefined && /^(?:2[0-9A-Z]|40|42|54|55)/.test(state);
}
/** The SQLSTATE of a driver's error, also where it is the cause of one of ours. */
export function sqlState(error) {
    if (typeof error !== "object" || error === null)
        return undefined;
    const { code, cause } = error;
    if (typeof code === "string" && /^(?=.*\d)[0-9A-Z]{5}$/.test(code))
        return code;
    return cause === undefined ? undefined : sqlState(cause);
}
//# sourceMappingURL=group-commit.js.map