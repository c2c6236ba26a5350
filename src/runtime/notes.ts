import { defaults } from "../core/defaults.ts";
import { fault } from "../core/errors.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Claim, Store } from "../core/ports/store.ts";

/** What one execution tells on its way. */
export class Notes {
  readonly #host: { readonly store: Store; readonly clock: Clock };
  readonly #claim: Claim;
  #writtenAt = -Infinity;

  constructor(host: { readonly store: Store; readonly clock: Clock }, claim: Claim) {
    this.#host = host;
    this.#claim = claim;
  }

  async write(progress: number, line?: string): Promise<void> {
    if (!(progress >= 0 && progress <= 1)) {
      throw fault("NT_OPTION", { expected: "progress from 0 to 1", got: String(progress) });
    }
    const now = this.#host.clock.monotonic();
    if (line === undefined && now - this.#writtenAt < defaults.progressMs) return;
    this.#writtenAt = now;
    if (!(await this.#host.store.note(this.#claim, progress, line))) {
      throw fault("NT_CLAIM_LOST", { got: "a newer execution, found by a note" });
    }
  }
}
