import { defaults } from "../core/defaults.ts";
import { checkOptions, fault } from "../core/errors.ts";
import type { Clock, Random } from "../core/ports/clock.ts";
import type { OutboxTx } from "../core/ports/outbox.ts";
import type { Acceptance, Arrival, Store } from "../core/ports/store.ts";
import { arrival, ownParcel } from "./arrival.ts";
import type { SendOptions, Sent } from "./face.ts";
import { GroupCommit } from "./group-commit.ts";
import { Tally } from "./tally.ts";

export interface AcceptingHost {
  readonly clock: Clock;
  readonly random: Random;
  store(): Promise<Store>;
  /** Called after each commit that made something due. */
  hint(): void;
  /** Called where somebody else's commit will. */
  hintLater(): void;
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

  /** Messages of our own, each in a commit of ours, or all in the transaction that is handed over. */
  async sendMany(
    messages: readonly ({ readonly topic: string; readonly payload: unknown } & SendOptions)[],
    tx: OutboxTx | undefined,
  ): Promise<Sent[]> {
    const arrivals = messages.map(({ topic, payload, ...options }) => {
      checkOptions("send()", options, ["key", "delayMs", "tenant"]);
      return arrival(ownParcel(topic, payload, options), this.#host.clock, this.#host.random);
    });
    if (tx === undefined) return Promise.all(arrivals.map((one) => this.#send(one)));
    const accepted = await (await this.#host.store()).sendIn(tx, arrivals);
    this.#host.hintLater();
    return accepted.map(sent);
  }

  /** A message of our own that somebody else accepts. */
  made(
    topic: string,
    payload: unknown,
    { headers, ...options }: { key: string; delayMs: number; headers: Arrival["headers"] },
  ): Arrival {
    return { ...arrival(ownParcel(topic, payload, options), this.#host.clock, this.#host.random), headers };
  }

  /** As `accept`: offered three times, then NT_ACCEPT_UNKNOWN. */
  async #send(one: Arrival): Promise<Sent> {
    for (let tries = 1; ; tries++) {
      try {
        return sent(await this.accept(one));
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

function sent({ id, kind }: Acceptance): Sent {
  return { id, kind: kind === "replayed" ? "duplicate" : kind };
}
