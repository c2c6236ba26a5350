import type { NevertwiceError } from "../core/errors.ts";
import type { Logger } from "../core/ports/logger.ts";

/** Steps stand still on a timeline that nobody has confirmed: said once when it begins and once when it ends. */
export class Pause {
  readonly #logger: Logger;
  #timeline: string | undefined;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** A step was held up. */
  held(timeline: string, { next }: NevertwiceError): void {
    if (this.#timeline === timeline) return;
    this.#timeline = timeline;
    this.#logger.warn({ timeline, next }, "steps are paused");
  }

  /** A step may make its request. */
  passed(): void {
    if (this.#timeline === undefined) return;
    this.#logger.info({ timeline: this.#timeline }, "steps go on");
    this.#timeline = undefined;
  }
}
