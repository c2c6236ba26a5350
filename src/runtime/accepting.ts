import { defaults } from "../core/defaults.ts";
import { fault } from "../core/errors.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Acceptance, Arrival, Store } from "../core/ports/store.ts";
import type { Sent } from "./face.ts";
import { GroupCommit } from "./group-commit.ts";
import { Tally } from "./tally.ts";

export interface AcceptingHost {
  readonly clock: Clock;
  store(): Promise<Store>;
  /** Called after each commit that made something due. */
  hint(): void;
}

/** The way in of all messages of this process, from outside and our own: they share their commits. */
export class Accepting {
  readonly #host: AcceptingHost;
  readonly #commits: GroupCommit<Arrival, Acceptance>;
  readonly #copies: Tally;

  constructor(host: AcceptingHost) {
    this.#host = host;
    this.#commits = new GroupCommit(async (arrivals) => (await host.store()).accept(arrivals), {
      most: defaults.acceptBatch,
      flushes: defaults.acceptFlushes,
      enough: defaults.acceptEnough,
      turn: (callback) => host.clock.after(0, callback),
    });
    this.#copies = new Tally(
      async (counts) =>
        (await host.store()).countCopies(Array.from(counts, ([messageId, copies]) => ({ messageId, copies }))),
      defaults.copyFlushMs,
      host.clock,
    );
  }

  /** Resolves after the COMMIT. When it throws, nothing is known: the message is offered again under the same key. */
  async accept(one: Arrival): Promise<Acceptance> {
    const accepted = await this.#commits.add(one);
    if (accepted.kind === "duplicate") this.#copies.add(accepted.id);
    if (accepted.kind === "accepted") this.#host.hint();
    return accepted;
  }

  /** As `accept`, for a message of our own: offered three times, then NT_ACCEPT_UNKNOWN. */
  async send(one: Arrival): Promise<Sent> {
    for (let tries = 1; ; tries++) {
      try {
        const accepted = await this.accept(one);
        return { id: accepted.id, kind: accepted.kind === "replayed" ? "duplicate" : accepted.kind };
      } catch (cause) {
        if (tries < 3) continue;
        throw fault("NT_ACCEPT_UNKNOWN", {
          got: cause instanceof Error ? cause.message : String(cause),
          next:
            one.key === one.id
              ? "It may have been accepted; send with a `key` to repeat it safely."
              : "Send it again under the same key.",
          cause,
        });
      }
    }
  }

  /** Resolves when nothing is under way. */
  drained(): Promise<void> {
    return this.#commits.drained();
  }

  /** Writes what has been counted and not yet written. */
  flush(): Promise<void> {
    return this.#copies.flush();
  }
}
