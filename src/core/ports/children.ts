/**
 * The part of the store that remembers which deliveries wait for which others. A group of children belongs to (message, consumer,
 * name), as a step does: every attempt finds it, a replay too.
 */
import type { Arrival, Claim } from "./store.ts";

/** A group that was enqueued. */
export interface Group {
  readonly job: string;
  /** In the order in which they were given. */
  readonly ids: readonly string[];
  readonly outstanding: boolean;
  /** What the results of all of them are together, as JSON text. */
  readonly resultBytes: number;
}

export interface NewGroup {
  readonly name: string;
  readonly key: string;
  readonly job: string;
  readonly arrivals: readonly Arrival[];
}

/** An execution that ends because its delivery has to wait for children. */
export interface Waits extends Claim {
  readonly ranMs: number;
  readonly reruns: number;
  /** For what: recorded once. */
  readonly reason: string;
}

/**
 * `superseded`: another execution has the delivery, and nothing was written. `unknown`: left to the claim loop. `again`: not
 * committed, and it cannot commit any more; the new claim is returned.
 */
export type Blocking =
  | { readonly kind: "blocked" | "superseded" | "unknown" }
  | { readonly kind: "again"; readonly claim: Claim };

export interface ChildrenStore {
  /** What there is of a group; undefined when it was not enqueued. */
  group(claim: Claim, consumer: string, name: string): Promise<Group | undefined>;
  /** Enqueues groups and lets the delivery wait, in one transaction. Until its children have ended nobody claims it. */
  block(waits: Waits, groups: readonly NewGroup[], leaseMs: number, worker: string): Promise<Blocking>;
  /** Makes the deliveries of these messages due that wait for children of which none is outstanding. How many there were. */
  wake(parents: readonly string[]): Promise<number>;
  /**
   * The same, for those of these consumers at which nobody has looked for `defaults.childrenLookMs`: whoever ended their last child
   * may have died before it could tell.
   */
  look(consumers: readonly string[]): Promise<number>;
}
