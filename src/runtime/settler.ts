import type { Clock } from "../core/ports/clock.ts";
import type { Logger } from "../core/ports/logger.ts";
import type { Settlement, Store } from "../core/ports/store.ts";
import { GroupCommit } from "./group-commit.ts";

/**
 * Settles what has no transaction of its own: handlers that never used `tx`, failures, and what a shutdown gives back.
 * Many share one statement. A settlement that does not get through is tried again until its lease is over; one whose
 * reply was lost is resolved, not guessed.
 */
export class Settler {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #worker: string;
  readonly #leaseMs: number;
  readonly #commits: GroupCommit<Settlement, boolean>;

  constructor(store: Store, clock: Clock, logger: Logger, worker: string, leaseMs: number) {
    this.#store = store;
    this.#clock = clock;
    this.#logger = logger;
    this.#worker = worker;
    this.#leaseMs = leaseMs;
    this.#commits = new GroupCommit(
      async (settlements) => {
        const settled = await store.settle(settlements, worker);
        return settlements.map((settlement) => settled.has(settlement.deliveryId));
      },
      { turn: (callback) => clock.after(0, callback), most: 1_000, flushes: 1 },
    );
  }

  /** Whether the delivery was settled by this claim. A loser's execution is recorded as superseded. */
  async settle(settlement: Settlement): Promise<boolean> {
    const began = this.#clock.monotonic();
    for (let waitMs = 50, uncertain = false; ; waitMs = Math.min(waitMs * 2, 2_000), uncertain = true) {
      try {
        if (await this.#commits.add(settlement)) return true;
        // An earlier try may have committed with its reply lost.
        if (uncertain && (await this.#store.resolve([settlement], this.#leaseMs)).kind === "committed") return true;
        await this.recordSuperseded(settlement);
        return false;
      } catch (error) {
        if (this.#clock.monotonic() - began > this.#leaseMs * 3) {
          this.#logger.error({ error, deliveryId: settlement.deliveryId }, "settlement given up: it runs again");
          return false;
        }
        await new Promise<void>((resolve) => this.#clock.after(waitMs, resolve));
      }
    }
  }

  async recordSuperseded(settlement: Settlement): Promise<void> {
    this.#logger.warn({ deliveryId: settlement.deliveryId }, "execution superseded");
    try {
      await this.#store.recordSuperseded([settlement], this.#worker);
    } catch (error) {
      this.#logger.warn({ error, deliveryId: settlement.deliveryId }, "superseded execution not recorded");
    }
  }

  drained(): Promise<void> {
    return this.#commits.drained();
  }
}
