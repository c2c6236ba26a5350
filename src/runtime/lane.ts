/**
 * Group settlement: short handlers of one consumer share a transaction.
 *
 * A handler's first use of `tx` makes a *turn* and queues it. A driver opens a transaction and gives it to one turn
 * after another, each under a savepoint of its own; when a handler returns, its turn ends and the next begins. The
 * driver then settles all that were kept in one statement and commits. While it commits, the next turns queue up, so
 * groups are as large as the load asks for and a lone delivery has a transaction to itself.
 *
 * It is only right with all of this:
 * - One consumer and one tenant a group: whatever leaks past a savepoint all the same stays at home.
 * - At most 60 members: from the 65th writing savepoint a backend's snapshots overflow and slow every session.
 * - Nobody waits long for a lock (5 ms, far below deadlock_timeout). The waiter leaves, the group commits what is
 *   done, the waiter runs again alone after that, and the group size is halved and grows again slowly.
 * - What leaks past a savepoint never runs in a group; neither does a step while `tx` is open (its request could carry
 *   a neighbour's uncommitted write outside). Both leave the groups for good. Whoever is slow leaves them for a while, longer
 *   each time: it may have been the machine that stood still.
 * - Whoever is rolled back although it ran alone (a deferred constraint, a settlement that its own role may not write) has
 *   failed: it is counted, or it would run for ever.
 * - A settlement that matches fewer rows than members is an error of the statement, so the COMMIT that travels right
 *   behind it rolls all back; each member runs again alone, under a new claim.
 *
 * What it does not promise: `now()` is the group's, and a neighbour's effects are visible inside it before they commit.
 */
import { defaults } from "../core/defaults.ts";
import { fault, isFault } from "../core/errors.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Claim, Store, Transaction } from "../core/ports/store.ts";
import { sqlState } from "../core/sql-state.ts";
import type { Permits } from "./permits.ts";
import { Turn } from "./turn.ts";

/** A turn this long has no place in a group: its neighbours wait with their effects uncommitted. */
const SLOW_MS = 250;
/** How long it stays out at first, and at most. */
const OUT_MS = 2_000;
const MOST_OUT_MS = 600_000;
/** A group that has worked this long commits: nobody's rows stay locked for longer. */
const GROUP_MS = 100;
/** Transactions of one consumer at a time: 4 leave idle what the wire costs, more only wait for each other's rows. */
const GROUP_LANES = 6;
/** Those that waited for a lock run again two at a time: all at once they would wait for each other, in circles. */
const AGAIN_LANES = 2;

export interface LanesHost {
  readonly store: Store;
  readonly clock: Clock;
  readonly worker: string;
  readonly leaseMs: number;
  /** Transactions of all consumers of this process. */
  readonly transactions: Permits<Lanes>;
  /** Called after a commit that may have sent messages. */
  hint(): void;
}

/** The lanes of one consumer. */
export class Lanes {
  readonly #host: LanesHost;
  readonly #timeoutMs: number;
  #waiting: Turn[] = [];
  /** Those that run again. */
  #again: Turn[] = [];
  #runningAgain = 0;
  #drivers = 0;
  #size: number = defaults.groupMax;
  #mayGroup: boolean;
  #outUntil = -Infinity;
  #outMs = OUT_MS;
  #hurry = false;

  constructor(host: LanesHost, options: { timeoutMs: number; grouped: boolean }) {
    this.#host = host;
    this.#timeoutMs = options.timeoutMs;
    this.#mayGroup = options.grouped;
  }

  /** Queues for a transaction: shared, one's own, or one's own because it runs again. */
  enter(claims: readonly Claim[], tenant: string, how: "shared" | "alone" | "again"): Turn {
    const turn = new Turn(claims, tenant, how !== "shared");
    (how === "again" ? this.#again : this.#waiting).push(turn);
    const most = this.#grouped && this.#size > 1 ? GROUP_LANES : GROUP_LANES * 2;
    if (this.#drivers < most) {
      this.#drivers++;
      void this.#drive().finally(() => this.#drivers--);
    }
    return turn;
  }

  /** A shutdown has passed its deadline: no statement is waited for any more. */
  hurry(): void {
    this.#hurry = true;
  }

  get #grouped(): boolean {
    return this.#mayGroup && this.#host.clock.monotonic() >= this.#outUntil;
  }

  #stayOut(): void {
    this.#outUntil = this.#host.clock.monotonic() + this.#outMs;
    this.#outMs = Math.min(this.#outMs * 2, MOST_OUT_MS);
  }

  async #drive(): Promise<void> {
    await this.#host.transactions.take(this);
    try {
      for (;;) {
        const again = this.#runningAgain < AGAIN_LANES ? take(this.#again) : undefined;
        const first = again ?? take(this.#waiting);
        if (first === undefined) return;
        if (again !== undefined) this.#runningAgain++;
        await this.#group(first);
        if (again !== undefined) this.#runningAgain--;
      }
    } finally {
      this.#host.transactions.give(this);
    }
  }

  /** The next turn that may join a group: one of another tenant waits for the next group, and others pass it meanwhile. */
  #nextMember(tenant: string): Turn | undefined {
    const i = this.#waiting.findIndex((turn) => !turn.cancelled && (turn.alone || turn.tenant === tenant));
    return i < 0 || this.#waiting[i]?.alone === true ? undefined : this.#waiting.splice(i, 1)[0];
  }

  async #group(first: Turn): Promise<void> {
    const { store, clock, worker, leaseMs } = this.#host;
    const single = first.alone || !this.#grouped;
    let tx: Transaction;
    try {
      tx = await store.begin(
        {
          // A frozen process otherwise keeps its rows locked and skipped for ever.
          idleMs: leaseMs,
          lockMs: single ? defaults.lockTimeoutMs : defaults.groupLockTimeoutMs,
          statementMs: this.#timeoutMs,
        },
        worker,
      );
    } catch (error) {
      first.refuse(error);
      return;
    }
    const began = clock.monotonic();
    const kept: Turn[] = [];
    const waiters: Turn[] = [];
    let broken = false;
    let turn: Turn | undefined = first;
    for (let n = 1; turn !== undefined; n++) {
      const name = `nt_${turn.claims[0]?.claim.replace("-", "m")}_${n}`;
      const turnBegan = clock.monotonic();
      try {
        if (!single) tx.savepoint(name);
        turn.give(tx, single);
        const verdict = await turn.ended;
        // Alone it may have waited for a lock, which says nothing about the handler.
        const slow = !single && clock.monotonic() - turnBegan > SLOW_MS;
        if (turn.leaves) this.#mayGroup = false;
        if (slow) this.#stayOut();
        if (isLost(turn.error)) broken = true;
        if (verdict === "keep") kept.push(turn);
        else if (verdict === "again") waiters.push(turn);
        if (verdict !== "keep" && !single && !broken) await tx.rollbackTo(name);
        if (verdict !== "keep" && !turn.waits) turn.settle({ kind: "undone" });
      } catch {
        broken = true;
        if (!kept.includes(turn) && !waiters.includes(turn)) waiters.push(turn);
      }
      // A plan that DDL has made stale fails whoever comes next on this connection.
      const stale: boolean = sqlState(turn.error) === "0A000";
      const full: boolean = stale || kept.length >= this.#size || clock.monotonic() - began > GROUP_MS;
      turn =
        single || broken || full || waiters.length > 0 || !this.#grouped ? undefined : this.#nextMember(first.tenant);
    }
    if (waiters.some((waiter) => waiter.lockWait)) this.#size = Math.max(1, this.#size >> 1);
    else if (kept.length >= this.#size) this.#size = Math.min(defaults.groupMax, Math.ceil(this.#size * 1.1));
    await this.#end(tx, kept, broken, single);
    // Not awaited: the lane goes on while their new claims are fetched.
    void this.#runAgain(waiters);
  }

  async #end(tx: Transaction, kept: readonly Turn[], broken: boolean, single: boolean): Promise<void> {
    if (broken || kept.length === 0) {
      await tx.rollback(this.#hurry);
      await this.#runAgain(kept);
      return;
    }
    const outcome = await tx.settleAndCommit(
      kept.flatMap((turn) =>
        turn.claims.map((claim) => ({ ...claim, outcome: "completed" as const, ...turn.figures(claim) })),
      ),
    );
    if (outcome === "committed") {
      if (kept.some((turn) => turn.sends)) this.#host.hint();
      for (const turn of kept) turn.settle({ kind: "committed" });
    } else if (outcome === "rolled-back") {
      const error = tx.rollbackCause ?? fault("NT_TX_LOST", { got: "the tag ROLLBACK" });
      await this.#runAgain(kept, single ? { error } : undefined);
    } else {
      await this.#resolve(kept);
    }
  }

  /** Rolled back for sure: each runs again alone, the same attempt under a new claim, or learns that it lost its claim. */
  async #runAgain(turns: readonly Turn[], failure?: { error: unknown }): Promise<void> {
    for (const turn of turns) await this.#resolve([turn], failure);
  }

  /** Nothing is concluded from a plain read: one fenced update decides, for all members of the transaction together. */
  async #resolve(turns: readonly Turn[], failure?: { error: unknown }): Promise<void> {
    if (turns.length === 0) return;
    try {
      const found = await this.#host.store.resolve(
        turns.flatMap((turn) => turn.claims),
        this.#host.leaseMs,
      );
      for (const turn of turns) {
        if (found.kind !== "not-committed") {
          turn.settle({ kind: found.kind });
          continue;
        }
        const claims = found.claims.filter((one) => turn.claims.some((mine) => mine.deliveryId === one.deliveryId));
        if (claims.length === 0) turn.settle({ kind: "superseded" });
        else turn.settle(failure === undefined ? { kind: "again", claims } : { kind: "failed", claims, ...failure });
      }
    } catch {
      // Left to the claim loop, which is safe: when the lease ends the delivery is taken over.
      for (const turn of turns) turn.settle({ kind: "unknown" });
    }
  }
}

function take(turns: Turn[]): Turn | undefined {
  for (let turn = turns.shift(); turn !== undefined; turn = turns.shift()) if (!turn.cancelled) return turn;
  return undefined;
}

/** The connection is gone, or PostgreSQL ended the session. */
function isLost(error: unknown): boolean {
  if (error === undefined || isFault(error)) return false;
  const state = sqlState(error);
  return state === undefined || /^(?:08|57P|25P03|25P04)/.test(state);
}
