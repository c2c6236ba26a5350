import type { Clock } from "../core/ports/clock.ts";

/** Between two hints at least. */
const LEAST_MS = 5;
const MOST_MS = 50;
/** How long after a send into somebody's transaction its COMMIT is still expected. */
const LATER_MS = 2_000;

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
  #laterUntil = -Infinity;
  #laterMs = 0;
  #cancelLater: (() => void) | undefined;

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

  /** For what somebody else's COMMIT will make due: now and then for a while, from soon to seldom. */
  giveLater(give: () => void): void {
    this.#laterUntil = this.#clock.monotonic() + LATER_MS;
    this.#laterMs = 10;
    if (this.#cancelLater === undefined) this.#later(give);
  }

  stop(): void {
    this.#cancelLater?.();
    this.#laterUntil = -Infinity;
  }

  #later(give: () => void): void {
    this.#cancelLater = this.#clock.after(this.#laterMs, () => {
      this.#cancelLater = undefined;
      give();
      this.#laterMs *= 2;
      if (this.#clock.monotonic() < this.#laterUntil) this.#later(give);
    });
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
