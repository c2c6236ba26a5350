import { defaults } from "../core/defaults.ts";
import { fault } from "../core/errors.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Outcome, Store } from "../core/ports/store.ts";

interface Waiter {
  readonly id: string;
  readonly tell: (outcome: Outcome) => void;
  readonly fail: (error: unknown) => void;
}

/**
 * Waits for jobs to end, wherever they run. All that are waited for are asked for in one statement: soon after one was
 * added, then more and more seldom, up to twice a second. Nothing is asked while nobody waits.
 */
export class Outcomes {
  readonly #store: () => Promise<Store>;
  readonly #clock: Clock;
  readonly #waiters = new Set<Waiter>();
  #pauseMs: number = defaults.outcomePollMs;
  #cancel: (() => void) | undefined;
  #asking = false;

  constructor(store: () => Promise<Store>, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** What the job returned. Throws NT_JOB_DEAD, NT_JOB_CANCELLED, NT_JOB_OUTSTANDING after `timeoutMs`, NT_NOT_FOUND. */
  async result(id: string, timeoutMs: number): Promise<unknown> {
    const outcome = await this.#ended(id, timeoutMs);
    switch (outcome.kind) {
      case "completed":
        return outcome.result;
      case "dead":
        throw fault("NT_JOB_DEAD", { got: `${id}: ${outcome.error}` });
      case "cancelled":
        throw fault("NT_JOB_CANCELLED", { got: `${id}: ${outcome.error}` });
      case "outstanding":
        throw fault("NT_JOB_OUTSTANDING", { got: `${id} after ${timeoutMs} ms` });
      case "unknown":
        throw fault("NT_NOT_FOUND", { got: id });
    }
  }

  /** Nobody is told any more. */
  stop(): void {
    this.#cancel?.();
    for (const waiter of this.#waiters) waiter.fail(fault("NT_NOT_STARTED", { got: "a result after stop()" }));
    this.#waiters.clear();
  }

  #ended(id: string, timeoutMs: number): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        cancel();
        this.#waiters.delete(waiter);
      };
      const waiter: Waiter = {
        id,
        tell: (outcome) => {
          end();
          resolve(outcome);
        },
        fail: (error) => {
          end();
          reject(error instanceof Error ? error : new Error(String(error)));
        },
      };
      const cancel = this.#clock.after(timeoutMs, () => waiter.tell({ kind: "outstanding" }));
      this.#waiters.add(waiter);
      this.#pauseMs = defaults.outcomePollMs;
      this.#cancel?.();
      this.#cancel = undefined;
      if (!this.#asking) void this.#ask();
    });
  }

  async #ask(): Promise<void> {
    this.#asking = true;
    const waiters = [...this.#waiters];
    try {
      const outcomes = await (await this.#store()).outcomes(waiters.map((waiter) => waiter.id));
      for (const waiter of waiters) {
        const outcome = outcomes.get(waiter.id) ?? { kind: "unknown" };
        if (outcome.kind !== "outstanding") waiter.tell(outcome);
      }
    } catch (error) {
      // One that waits longer than the database is away is told all the same.
      if (this.#pauseMs >= defaults.outcomePollMostMs) for (const waiter of waiters) waiter.fail(error);
    } finally {
      this.#asking = false;
    }
    if (this.#waiters.size === 0) return;
    this.#cancel = this.#clock.after(this.#pauseMs, () => void this.#ask());
    this.#pauseMs = Math.min(this.#pauseMs * 2, defaults.outcomePollMostMs);
  }
}
