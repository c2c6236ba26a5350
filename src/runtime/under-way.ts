import type { Logger } from "../core/ports/logger.ts";

/** Work that goes on beside the loop that began it: whoever stops waits for the last of it. */
export class UnderWay {
  readonly #logger: Logger;
  readonly #onNone: () => void;
  #count = 0;
  #waiting: (() => void)[] = [];

  constructor(logger: Logger, onNone: () => void) {
    this.#logger = logger;
    this.#onNone = onNone;
  }

  get any(): boolean {
    return this.#count > 0;
  }

  track(work: Promise<unknown>): void {
    this.#count++;
    const end = (): void => {
      if (--this.#count > 0) return;
      for (const told of this.#waiting.splice(0)) told();
      this.#onNone();
    };
    work.then(end, (error: unknown) => {
      this.#logger.error({ error }, "execution not settled");
      end();
    });
  }

  none(): Promise<void> {
    return this.#count === 0 ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve));
  }
}
