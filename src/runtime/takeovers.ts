import { defaults } from "../core/defaults.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Claimed } from "../core/ports/store.ts";

/**
 * How many deliveries whose lease had run out run in this process, and when to look for more. One whose lease ran out before
 * is suspected of killing its process: it runs while no other suspect does, so that it costs nobody but itself.
 */
export class Takeovers {
  readonly #clock: Clock;
  readonly #everyMs: number;
  #lookedAt = -Infinity;
  #running = 0;
  #suspect = false;

  constructor(clock: Clock, everyMs: number) {
    this.#clock = clock;
    this.#everyMs = everyMs;
  }

  /** Whether to look now. Until none is left; where no more may wait or run here, the next round goes on with it. */
  due(): boolean {
    if (this.#clock.monotonic() - this.#lookedAt < this.#everyMs) return false;
    this.#lookedAt = -Infinity;
    return true;
  }

  get mayBegin(): boolean {
    return this.#running < defaults.concurrency && !this.#suspect;
  }

  noneLeft(): void {
    this.#lookedAt = this.#clock.monotonic();
  }

  begin(claimed: Claimed): void {
    this.#running++;
    this.#suspect = claimed.suspect;
  }

  /** Whether the way is free for the next suspect. */
  end(claimed: Claimed): boolean {
    this.#running--;
    if (!claimed.suspect) return false;
    this.#suspect = false;
    this.#lookedAt = -Infinity;
    return true;
  }
}
