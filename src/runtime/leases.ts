import { defaults } from "../core/defaults.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Logger } from "../core/ports/logger.ts";
import type { Claim, Store } from "../core/ports/store.ts";

/** The part of a lease after which it is renewed. */
const RENEWALS = defaults.renewMs / defaults.leaseMs;

/**
 * Keeps the leases of all that this process has claimed, running or not.
 *
 * A lease is short and renewed: a killed process gives its work back within seconds, a long handler keeps its own.
 * When the database says that a claim is no longer current, or when no renewal has got through for a whole lease, the
 * execution is told: it cannot settle any more, whatever it does.
 */
export class Leases {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #leaseMs: number;
  readonly #held = new Map<string, Held>();
  #cancel: (() => void) | undefined;
  #stopped = false;
  #renewing = false;

  constructor(store: Store, clock: Clock, logger: Logger, leaseMs: number) {
    this.#store = store;
    this.#clock = clock;
    this.#logger = logger;
    this.#leaseMs = leaseMs;
  }

  /** A delivery has one holder in a process: a newer claim of the same delivery replaces the older. */
  hold(claim: Claim, onLost: () => void): void {
    this.#held.set(claim.deliveryId, { claim, onLost, renewedAt: this.#clock.monotonic() });
    this.#cancel ??= this.#clock.after(this.#leaseMs * RENEWALS, () => void this.#renew());
  }

  release(claim: Claim): void {
    if (this.#held.get(claim.deliveryId)?.claim.claim === claim.claim) this.#held.delete(claim.deliveryId);
  }

  /** Asks now: somebody has ended a delivery that may be running here. */
  check(): void {
    if (this.#stopped || this.#held.size === 0 || this.#renewing) return;
    this.#cancel?.();
    void this.#renew();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  async #renew(): Promise<void> {
    this.#renewing = true;
    const asked = [...this.#held.values()];
    const askedAt = this.#clock.monotonic();
    try {
      const lost =
        asked.length === 0
          ? []
          : await this.#store.renew(
              asked.map((held) => held.claim),
              this.#leaseMs,
            );
      const gone = new Set(lost.map((claim) => claim.claim));
      for (const held of asked) {
        held.renewedAt = askedAt;
        if (gone.has(held.claim.claim)) this.#lose(held);
      }
    } catch (error) {
      this.#logger.warn({ error, held: asked.length }, "lease renewal failed");
      for (const held of asked) if (this.#clock.monotonic() - held.renewedAt > this.#leaseMs) this.#lose(held);
    }
    this.#renewing = false;
    this.#cancel = undefined;
    if (!this.#stopped && this.#held.size > 0) {
      const wait = Math.max(0, this.#leaseMs * RENEWALS - (this.#clock.monotonic() - askedAt));
      this.#cancel = this.#clock.after(wait, () => void this.#renew());
    }
  }

  #lose(held: Held): void {
    if (this.#held.get(held.claim.deliveryId) !== held) return;
    this.#held.delete(held.claim.deliveryId);
    held.onLost();
  }
}

interface Held {
  readonly claim: Claim;
  readonly onLost: () => void;
  renewedAt: number;
}
