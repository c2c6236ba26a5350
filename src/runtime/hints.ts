import type { Clock } from "../core/ports/clock.ts";

/** Between two hints at least. */
const LEAST_MS = 5;
const MOST_MS = 50;

/**
 * "Something is due": sent after COMMIT, in a transaction of its own, and coalesced. While one hint is under way all
 * others become the next one. A hint that is lost costs a poll interval, never a message.
 *
 * A busy worker claims without being told, and an idle one must be told at once: so the first goes out at once, and the
 * next waits ten times as long as the last one took. At one in 5 ms they cost a third of what the accepts themselves did.
 */
export class Hints {
  readonly #send: () => Promise<void>;
  readonly #clock: Clock;
  #sending = false;
  #again = false;
  /** Not before this. */
  #nextAt = -Infinity;

  constructor(send: () => Promise<void>, clock: Clock) {
    this.#send = send;
    this.#clock = clock;
  }

  give(): void {
    if (this.#sending) {
      this.#again = true;
      return;
    }
    this.#sending = true;
    const wait = this.#nextAt - this.#clock.monotonic();
    if (wait <= 0) void this.#run();
    else this.#clock.after(wait, () => void this.#run());
  }

  async #run(): Promise<void> {
    this.#again = false;
    const began = this.#clock.monotonic();
    try {
      await this.#send();
    } finally {
      const tookMs = this.#clock.monotonic() - began;
      this.#nextAt = began + Math.min(MOST_MS, Math.max(LEAST_MS, 10 * tookMs));
      this.#sending = false;
      if (this.#again) this.give();
    }
  }
}
