import type { Clock, Random } from "../core/ports/clock.ts";
import type { Logger } from "../core/ports/logger.ts";
import type { ConsumerDeclaration, Store } from "../core/ports/store.ts";

interface Host {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** How long keys are remembered, and history is kept: at least. */
export interface Windows {
  readonly dedupeDays: number;
  readonly retainDays: number;
}

const FIRST_MS = 1_000;
const EVERY_MS = 60_000;

/**
 * Housekeeping in small pieces, at moments that differ between processes. The consumers are declared again at each round, so
 * that `doctor` can tell one that no code declares any more. `also` is what else is done then: the database is awake.
 */
export class Housekeeping {
  readonly #host: Host;
  readonly #consumers: () => readonly ConsumerDeclaration[];
  readonly #windows: Windows;
  readonly #also: () => Promise<void>;
  #cancel: () => void;
  #stopped = false;

  constructor(
    host: Host,
    consumers: () => readonly ConsumerDeclaration[],
    windows: Windows,
    also: () => Promise<void>,
  ) {
    this.#host = host;
    this.#consumers = consumers;
    this.#windows = windows;
    this.#also = also;
    this.#cancel = host.clock.after(FIRST_MS, () => void this.#round());
  }

  /** One piece, now. */
  static async once(
    store: Store,
    consumers: readonly ConsumerDeclaration[],
    windows: Windows,
    also: () => Promise<void>,
  ): Promise<void> {
    await store.declare(consumers);
    await also();
    await store.tidy(windows);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  async #round(): Promise<void> {
    const { store, clock, random, logger } = this.#host;
    try {
      await Housekeeping.once(store, this.#consumers(), this.#windows, this.#also);
    } catch (error) {
      if (!this.#stopped) logger.warn({ error }, "housekeeping failed");
    }
    if (!this.#stopped) this.#cancel = clock.after(EVERY_MS * (0.5 + random.fraction()), () => void this.#round());
  }
}
