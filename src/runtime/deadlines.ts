import type { Clock } from "../core/ports/clock.ts";

/**
 * Tells of each item that has been here for a fixed time. All stay equally long, so the first in is the first due, and one
 * timer serves them all: a timer each costs as much as a short handler.
 */
export class Deadlines<Item> {
  readonly #clock: Clock;
  readonly #ms: number;
  readonly #late: (item: Item) => void;
  readonly #since = new Map<Item, number>();
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, ms: number, late: (item: Item) => void) {
    this.#clock = clock;
    this.#ms = ms;
    this.#late = late;
  }

  add(item: Item): void {
    this.#since.set(item, this.#clock.monotonic());
    this.#cancel ??= this.#clock.after(this.#ms, () => this.#check());
  }

  delete(item: Item): void {
    this.#since.delete(item);
  }

  /** Nothing keeps the process from ending any more. */
  stop(): void {
    this.#cancel?.();
    this.#since.clear();
  }

  #check(): void {
    this.#cancel = undefined;
    const now = this.#clock.monotonic();
    for (const [item, since] of this.#since) {
      const leftMs = since + this.#ms - now;
      if (leftMs > 0) {
        this.#cancel = this.#clock.after(leftMs, () => this.#check());
        return;
      }
      this.#since.delete(item);
      this.#late(item);
    }
  }
}
