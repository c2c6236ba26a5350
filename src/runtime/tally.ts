import type { Clock } from "../core/ports/clock.ts";

/**
 * Counts in memory and writes what it has counted at most once in `everyMs`, so that a flood of forged requests or of
 * copies costs the database next to nothing. What a killed process had not written yet is not counted.
 */
export class Tally {
  readonly #write: (counts: ReadonlyMap<string, number>) => Promise<void>;
  readonly #everyMs: number;
  readonly #clock: Clock;
  #counts = new Map<string, number>();
  #cancel: (() => void) | undefined;

  constructor(write: (counts: ReadonlyMap<string, number>) => Promise<void>, everyMs: number, clock: Clock) {
    this.#write = write;
    this.#everyMs = everyMs;
    this.#clock = clock;
  }

  add(name: string, count = 1): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + count);
    this.#cancel ??= this.#clock.after(this.#everyMs, () => void this.flush());
  }

  /** Writes what has been counted; keeps it for the next time when the database is away. */
  async flush(): Promise<void> {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#counts.size === 0) return;
    const counts = this.#counts;
    this.#counts = new Map();
    try {
      await this.#write(counts);
    } catch {
      for (const [name, count] of counts) this.add(name, count);
    }
  }
}
