import { sqlState } from "../core/sql-state.ts";

/**
 * Many callers share one durable statement.
 *
 * A flush takes all that one turn of the event loop has brought; what arrives while it is under way waits for the next
 * one, which starts when the first is durable. There is no timer, so a lone item waits for nothing, and the busier it
 * gets the larger the batches grow. A second flush beside the first starts only when it would be as large: one of four
 * items costs nearly as much as one of forty, and what it gains in time is lost in work. (It starts all the same behind a
 * flush that waits for somebody's lock.)
 *
 * Where `enough` is set a long turn is not waited for: so many go out in the middle of it, and the database works on them
 * while the rest is still being read. Without that the two work by turns, each while the other waits: accepting lost a
 * fifth of its throughput.
 *
 * A batch that fails because of one of its items is split until only the culprit fails. A batch that fails because
 * the database is away fails whole: asking 256 times would not make it come back.
 */
export class GroupCommit<Item, Result> {
  readonly #flush: (items: readonly Item[]) => Promise<readonly Result[]>;
  readonly #most: number;
  readonly #flushes: number;
  readonly #enough: number;
  readonly #turn: (callback: () => void) => void;
  #waiting: Entry<Item, Result>[] = [];
  #running = 0;
  #underWay = 0;
  #armed = false;
  #idle: (() => void)[] = [];

  constructor(
    flush: (items: readonly Item[]) => Promise<readonly Result[]>,
    options: {
      readonly most: number;
      readonly flushes: number;
      /** So many need not wait for the end of the turn. @default never */
      readonly enough?: number;
      /** Calls back as soon as what has come in meanwhile was read. */
      readonly turn: (callback: () => void) => void;
    },
  ) {
    this.#flush = flush;
    this.#most = options.most;
    this.#flushes = options.flushes;
    this.#enough = options.enough ?? Infinity;
    this.#turn = options.turn;
  }

  add(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (this.#waiting.length >= this.#enough) this.#start();
      if (this.#armed) return;
      this.#armed = true;
      this.#turn(() => {
        this.#armed = false;
        this.#start();
      });
    });
  }

  /** Many that come together: one promise, and no turn to wait for. Rejects when all have ended and one of them failed. */
  addAll(items: readonly Item[]): Promise<readonly Result[]> {
    const results = Array<Result>(items.length);
    return new Promise((resolve, reject) => {
      let left = items.length;
      let failed: { readonly error: unknown } | undefined;
      const end = (): void => {
        if (--left > 0) return;
        if (failed === undefined) resolve(results);
        else reject(failed.error);
      };
      for (const [i, item] of items.entries()) {
        this.#waiting.push({
          item,
          resolve(result) {
            results[i] = result;
            end();
          },
          reject(error) {
            failed ??= { error };
            end();
          },
        });
      }
      if (left === 0) resolve(results);
      else this.#start();
    });
  }

  /** Resolves when nothing waits and nothing is under way. */
  drained(): Promise<void> {
    if (this.#running === 0 && this.#waiting.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #start(): void {
    while (this.#mayStart()) {
      const batch = this.#waiting.splice(0, this.#most);
      this.#running++;
      this.#underWay += batch.length;
      void this.#run(batch).finally(() => {
        this.#running--;
        this.#underWay -= batch.length;
        this.#start();
        if (this.#running === 0 && this.#waiting.length === 0) for (const idle of this.#idle.splice(0)) idle();
      });
    }
  }

  #mayStart(): boolean {
    if (this.#waiting.length === 0) return false;
    return this.#running === 0 || (this.#running < this.#flushes && this.#waiting.length >= this.#underWay);
  }

  async #run(batch: readonly Entry<Item, Result>[]): Promise<void> {
    try {
      const results = await this.#flush(batch.map((entry) => entry.item));
      for (const [i, entry] of batch.entries()) entry.resolve(results[i] as Result);
    } catch (error) {
      if (batch.length === 1 || !blamesAnItem(error)) {
        for (const entry of batch) entry.reject(error);
        return;
      }
      const half = batch.length >> 1;
      await this.#run(batch.slice(0, half));
      await this.#run(batch.slice(half));
    }
  }
}

interface Entry<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * By SQLSTATE: a data error (22), a constraint (23), a lock or a deadlock (40, 55) is some item's fault; no state at
 * all, a lost connection (08), a full disk (53) or a shutdown (57) is nobody's.
 */
function blamesAnItem(error: unknown): boolean {
  const state = sqlState(error);
  return state !== undefined && /^(?:2[0-9A-Z]|40|42|54|55)/.test(state);
}
