/**
 * Group settlement: short handlers of one consumer share a transaction.
 *
 * A handler's first use of `tx` makes a *turn* and queues it. A driver opens a transaction and gives it to one turn
 * after another, each under a savepoint of its own; when a handler returns, its turn ends and the next begins. The
 * driver then settles all that were kept in one statement and commits. While it commits, the next turns queue up, so
 * groups are as large as the load asks for and a lone delivery has a transaction to itself.
 *
 * It is only right with all of this:
 * - At most 60 members: from the 65th writing savepoint a backend's snapshots overflow and slow every session.
 * - Nobody waits long for a lock (5 ms, far below deadlock_timeout). The waiter leaves, the group commits what is
 *   done, the waiter runs again alone after that, and the group size is halved and grows again slowly.
 * - What leaks past a savepoint never runs in a group; neither does a step while `tx` is open (its request could carry
 *   a neighbour's uncommitted write outside). Both leave the groups for good, and so does whoever is slow.
 * - A settlement that matches fewer rows than members is an error of the statement, so the COMMIT that travels right
 *   behind it rolls all back; each member runs again alone, under a new claim.
 *
 * What it does not promise: `now()` is the group's, and a neighbour's effects are visible inside it before they commit.
 */
import { defaults } from "../core/defaults.js";
import { isFault } from "../core/errors.js";
import { sqlState } from "./group-commit.js";
import { Permits } from "./permits.js";
import { Turn } from "./turn.js";
/** A turn this long has no place in a group: its neighbours wait with their effects uncommitted. */
const SLOW_MS = 250;
/** A group that has worked this long commits: nobody's rows stay locked for longer. */
const GROUP_MS = 100;
/** Transactions of one consumer at a time: 4 leave idle what the wire costs, more only wait for each other's rows. */
const GROUP_LANES = 6;
/** The lanes of one consumer. */
export class Lanes {
    #host;
    #timeoutMs;
    #waiting = [];
    #drivers = 0;
    #size = defaults.groupMax;
    grouped;
    constructor(host, options) {
        this.#host = host;
        this.#timeoutMs = options.timeoutMs;
        this.grouped = options.grouped;
    }
    enter(claim, alone) {
        const turn = new Turn(claim, alone);
        this.#waiting.push(turn);
        const most = this.grouped && this.#size > 1 ? GROUP_LANES : GROUP_LANES * 2;
        if (this.#drivers < most) {
            this.#drivers++;
            void this.#drive().finally(() => this.#drivers--);
        }
        return turn;
    }
    async #drive() {
        await this.#host.transactions.take();
        try {
            for (let first = this.#next(); first !== undefined; first = this.#next()) {
                await this.#group(first);
            }
        }
        finally {
            this.#host.transactions.give();
        }
    }
    #next() {
        for (let turn = this.#waiting.shift(); turn !== undefined; turn = this.#waiting.shift()) {
            if (!turn.cancelled)
                return turn;
        }
        return undefined;
    }
    /** The next turn that may join a group. */
    #nextMember() {
        if (this.#waiting[0]?.alone === true)
            return undefined;
        return this.#next();
    }
    async #group(first) {
        const { store, clock, worker, leaseMs } = this.#host;
        const single = first.alone || !this.grouped || this.#size <= 1;
        let tx;
        try {
            tx = await store.begin({
                // A frozen process otherwise keeps its rows locked and skipped for ever.
                idleMs: leaseMs,
                lockMs: single ? defaults.lockTimeoutMs : defaults.groupLockTimeoutMs,
                statementMs: this.#timeoutMs,
            }, worker);
        }
        catch (error) {
            first.refuse(error);
            return;
        }
        const began = clock.monotonic();
        const kept = [];
        const waiters = [];
        let broken = false;
        let turn = first;
        for (let n = 1; turn !== undefined; n++) {
            const name = `nt_${turn.claim.claim.replace("-", "m")}_${n}`;
            const turnBegan = clock.monotonic();
            try {
                if (!single)
                    tx.savepoint(name);
                turn.give(tx, single);
                const verdict = await turn.ended;
                if (turn.leaves || clock.monotonic() - turnBegan > SLOW_MS)
                    this.grouped = false;
                if (isLost(turn.error))
                    broken = true;
                if (verdict === "keep")
                    kept.push(turn);
                else if (verdict === "again")
                    waiters.push(turn);
                if (verdict !== "keep" && !single && !broken)
                    await tx.rollbackTo(name);
                if (verdict !== "keep" && !turn.waits)
                    turn.settle({ kind: "undone" });
            }
            catch {
                broken = true;
                if (!kept.includes(turn) && !waiters.includes(turn))
                    waiters.push(turn);
            }
            const full = kept.length >= this.#size || clock.monotonic() - began > GROUP_MS;
            turn = single || broken || full || waiters.length > 0 || !this.grouped ? undefined : this.#nextMember();
        }
        if (waiters.some((waiter) => waiter.lockWait))
            this.#size = Math.max(1, this.#size >> 1);
        else if (kept.length >= this.#size)
            this.#size = Math.min(defaults.groupMax, Math.ceil(this.#size * 1.1));
        await this.#end(tx, kept, broken);
        // Not awaited: the lane goes on while their new claims are fetched.
        void this.#again(waiters);
    }
    async #end(tx, kept, broken) {
        if (broken || kept.length === 0) {
            await tx.rollback();
            await this.#again(kept);
            return;
        }
        const outcome = await tx.settleAndCommit(kept.map((turn) => ({ ...turn.claim, outcome: "completed", ...turn.figures() })));
        if (outcome === "committed") {
            if (kept.some((turn) => turn.sends))
                this.#host.hint();
            for (const turn of kept)
                turn.settle({ kind: "committed" });
        }
        else if (outcome === "rolled-back") {
            await this.#again(kept);
        }
        else {
            await this.#resolve(kept);
        }
    }
    /** Rolled back for sure: each runs again alone, the same attempt under a new claim, or learns that it lost its claim. */
    async #again(turns) {
        for (const turn of turns)
            await this.#resolve([turn]);
    }
    /** Nothing is concluded from a plain read: one fenced update decides, for all members of the transaction together. */
    async #resolve(turns) {
        if (turns.length === 0)
            return;
        try {
            const found = await this.#host.store.resolve(turns.map((turn) => turn.claim), this.#host.leaseMs);
            for (const turn of turns) {
                if (found.kind !== "not-committed") {
                    turn.settle({ kind: found.kind });
                    continue;
                }
                const claim = found.claims.find((candidate) => candidate.deliveryId === turn.claim.deliveryId);
                turn.settle(claim === undefined ? { kind: "superseded" } : { kind: "again", claim });
            }
        }
        catch {
            // Left to the claim loop, which is safe: when the lease ends the delivery is taken over.
            for (const turn of turns)
                turn.settle({ kind: "unknown" });
        }
    }
}
/** The connection is gone, or PostgreSQL ended the session. */
function isLost(error) {
    if (error === undefined || isFault(error))
        return false;
    const state = sqlState(error);
    return state === undefined || /^(?:08|57P|25P03|25P04)/.test(state);
}
//# sourceMappingURL=lane.js.map