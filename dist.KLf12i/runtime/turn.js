/** One execution's use of a transaction: queued, given, ended by the handler, settled by the lane. */
export class Turn {
    claim;
    alone;
    begun;
    ended;
    settled;
    cancelled = false;
    given = false;
    /** The handler's consumer has no place in groups. */
    leaves = false;
    /** A statement waited for a lock too long, or was a deadlock's victim. */
    lockWait = false;
    sends = false;
    /** The first error of a statement. */
    error;
    figures = () => ({ ranMs: 0, reruns: 0 });
    #begin;
    #refuse;
    #end;
    #settle;
    #waits = false;
    constructor(claim, alone) {
        this.claim = claim;
        this.alone = alone;
        this.begun = new Promise((resolve, reject) => {
            this.#begin = resolve;
            this.#refuse = reject;
        });
        this.begun.catch(() => { });
        this.ended = new Promise((resolve) => (this.#end = resolve));
        this.settled = new Promise((resolve) => (this.#settle = resolve));
    }
    /** It waits for the end of its group before it learns what became of it. */
    get waits() {
        return this.#waits;
    }
    give(tx, single) {
        this.given = true;
        this.#begin({ tx, single });
    }
    refuse(error) {
        this.cancelled = true;
        this.error = error;
        this.#refuse(error);
        this.#settle({ kind: "undone" });
    }
    /** The handler is done with it. Before it was given, it simply leaves the queue. */
    end(verdict) {
        this.#waits = verdict === "again";
        if (!this.given) {
            this.cancelled = true;
            this.#settle({ kind: "undone" });
        }
        this.#end(verdict);
    }
    settle(end) {
        this.#settle(end);
    }
}
//# sourceMappingURL=turn.js.map