import { defaults } from "../core/defaults.ts";
import { checkOptions, fault } from "../core/errors.ts";
import type { Clock, Random } from "../core/ports/clock.ts";
import type { OutboxTx } from "../core/ports/outbox.ts";
import type { Acceptance, Arrival, Put, Store } from "../core/ports/store.ts";
import { arrival, ownParcel, type Parcel } from "./arrival.ts";
import type { SendOptions, Sent } from "./face.ts";
import { GroupCommit } from "./group-commit.ts";
import { HandlerTx } from "./handler-tx.ts";
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
  readonly #commits: GroupCommit<Arrival, Put>;
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
    // Only a job's unique key has other outcomes.
    return (await this.#commit(one)) as Acceptance;
  }

  async #commit(one: Arrival): Promise<Put> {
    const put = await this.#commits.add(one);
    this.#told(put);
    return put;
  }

  async #commitAll(arrivals: readonly Arrival[]): Promise<readonly Put[]> {
    const put = await this.#commits.addAll(arrivals);
    for (const one of put) this.#told(one);
    return put;
  }

  #told({ kind, id }: Put): void {
    if (kind === "duplicate") this.#copies.add(id);
    if (kind === "accepted" || kind === "replaced" || kind === "rescheduled") this.#host.hint();
  }

  async sendMany(
    messages: readonly ({ readonly topic: string; readonly payload: unknown } & SendOptions)[],
    tx: OutboxTx | undefined,
  ): Promise<Sent[]> {
    const parcels = messages.map(({ topic, payload, ...options }) => {
      checkOptions("send()", options, ["key", "delayMs", "tenant"]);
      return ownParcel(topic, payload, options);
    });
    return (await this.putMany(parcels, tx)).map(sent);
  }

  /** Messages of our own, each in a commit of ours, or all in the transaction that is handed over: a handler's own `tx` too. */
  async putMany(parcels: readonly Parcel[], tx: OutboxTx | undefined): Promise<readonly Put[]> {
    if (tx instanceof HandlerTx) {
      const put: Put[] = [];
      for (const parcel of parcels) put.push(await tx.put(parcel));
      return put;
    }
    const arrivals = parcels.map((parcel) => arrival(parcel, this.#host.clock, this.#host.random));
    if (tx === undefined) return this.#put(arrivals);
    const put = await (await this.#host.store()).sendIn(tx, arrivals);
    this.#host.hintLater();
    return put;
  }

  /** A message of our own that somebody else accepts. */
  made(parcel: Parcel): Arrival {
    return arrival(parcel, this.#host.clock, this.#host.random);
  }

  /** As `accept`: offered three times, then NT_ACCEPT_UNKNOWN. What was accepted the first time says so the second time. */
  async #put(arrivals: readonly Arrival[]): Promise<readonly Put[]> {
    const [first] = arrivals;
    for (let tries = 1; ; tries++) {
      try {
        return arrivals.length === 1 && first !== undefined
          ? [await this.#commit(first)]
          : await this.#commitAll(arrivals);
      } catch (cause) {
        if (tries < 3) continue;
        throw fault("NT_ACCEPT_UNKNOWN", {
          got: cause instanceof Error ? cause.message : String(cause),
          next: arrivals.some((one) => one.keyHash === undefined)
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

function sent({ id, kind }: Put): Sent {
  return { id, kind: kind === "accepted" || kind === "conflict" ? kind : "duplicate" };
}
