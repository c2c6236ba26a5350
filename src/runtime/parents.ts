import type { Clock } from "../core/ports/clock.ts";
import type { Logger } from "../core/ports/logger.ts";
import type { StoredMessage, Store } from "../core/ports/store.ts";
import { isUuid } from "../core/id.ts";
import { JOBS } from "../core/topic.ts";

/** Between two questions at least and at most; else ten times what the last one took, as with hints. */
const LEAST_MS = 5;
const MOST_MS = 250;

interface ParentsHost {
  readonly store: Store;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called when parents were woken. */
  hint(): void;
  track(work: Promise<unknown>): void;
}

/**
 * Wakes parents whose children have ended: asked after the COMMIT that ended a child, in a statement for all that ended meanwhile.
 * A group of ten thousand is asked about a few times a second. What gets lost here, the fallback finds (store/children.ts).
 */
export class Parents {
  readonly #host: ParentsHost;
  #asked = new Set<string>();
  #asking = false;

  constructor(host: ParentsHost) {
    this.#host = host;
  }

  /** Its delivery has ended. Costs who is no child a look at a field. */
  childEnded({ source, headers }: StoredMessage): void {
    if (source !== JOBS) return;
    const { parent } = headers;
    if (parent !== undefined && isUuid(parent)) this.wake(parent);
  }

  wake(parent: string): void {
    this.#asked.add(parent);
    if (this.#asking) return;
    this.#asking = true;
    this.#host.track(this.#ask());
  }

  async #ask(): Promise<void> {
    const { store, clock, logger, hint } = this.#host;
    while (this.#asked.size > 0) {
      const parents = [...this.#asked];
      this.#asked = new Set();
      const began = clock.monotonic();
      try {
        if ((await store.children.wake(parents)) > 0) hint();
      } catch (error) {
        logger.warn({ error, parents: parents.length }, "parents not woken: they are looked at within half a minute");
      }
      if (this.#asked.size === 0) break;
      const tookMs = clock.monotonic() - began;
      const pauseMs = Math.min(MOST_MS, Math.max(LEAST_MS, 10 * tookMs));
      await new Promise<void>((resolve) => clock.after(pauseMs, resolve));
    }
    this.#asking = false;
  }
}
