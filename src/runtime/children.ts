/**
 * What a handler asks of its children. The essay is in store/children.ts.
 *
 * The first execution that asks for a group ends there: its delivery waits, and runs again when they have ended. As with steps,
 * that is so whatever the handler makes of the error. Groups that are asked for together are enqueued together.
 */
import { defaults } from "../core/defaults.ts";
import { checkOptions, fault } from "../core/errors.ts";
import type { NewGroup } from "../core/ports/children.ts";
import type { Clock, Random } from "../core/ports/clock.ts";
import type { Claimed, Outcome, Settlement, Store } from "../core/ports/store.ts";
import { checkName } from "../core/topic.ts";
import { arrival, digest } from "./arrival.ts";
import type { ChildOutcome, ChildrenOptions } from "./children-face.ts";
import type { Ended } from "./execution.ts";
import { type Job, parcel } from "./job.ts";

/** Thrown into a handler whose delivery waits. Not an attempt, not an error. */
export class WaitsForChildren extends Error {
  override readonly name = "WaitsForChildren";
}

/** Outcomes of one statement. */
const BATCH = 1_000;

export interface ChildrenHost {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly worker: string;
  readonly leaseMs: number;
}

/** The children of one execution. */
export class Children {
  readonly #host: ChildrenHost;
  readonly #claimed: Claimed;
  readonly #consumer: string;
  readonly #names = new Set<string>();
  /** To be enqueued when the execution ends. */
  readonly #groups: NewGroup[] = [];
  /** What is waited for, in words. */
  readonly #waitedFor: string[] = [];
  #looking = 0;
  #told: (() => void)[] = [];
  #ended: WaitsForChildren | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(host: ChildrenHost, claimed: Claimed, consumer: string) {
    this.#host = host;
    this.#claimed = claimed;
    this.#consumer = consumer;
  }

  /** See `HandlerContext.children`. */
  ask<Input, Result>(
    name: string,
    job: Job<Input, Result, any>,
    inputs: readonly Input[] | (() => readonly Input[] | Promise<readonly Input[]>),
    options: ChildrenOptions = {},
  ): Promise<ChildOutcome<Result>[]> {
    const asked = this.#ask(name, job, inputs, options);
    // Where nobody waits for it the attempt fails (`check`); it must not end the process.
    asked.catch(() => {});
    return asked as Promise<ChildOutcome<Result>[]>;
  }

  /** What ends the execution, whatever its handler made of it. */
  get ended(): WaitsForChildren | undefined {
    return this.#ended;
  }

  /** A handler that swallowed it, or did not wait for it, must not pass for a success. */
  check(): void {
    if (this.#ended !== undefined) throw this.#ended;
    if (this.#looking === 0) return;
    throw fault("NT_CHILDREN", {
      expected: "every call of `children` to have ended when the handler returned",
      got: `${this.#looking} still under way`,
      next: "Await it.",
    });
  }

  /** Enqueues what is new, and lets the delivery wait. */
  async block(settlement: Settlement): Promise<Ended> {
    const { store, leaseMs, worker } = this.#host;
    const { ranMs = 0, reruns = 0 } = settlement;
    const reason = `waits for its children: ${this.#waitedFor.join(", ")}`;
    const blocked = await store.children.block({ ...settlement, ranMs, reruns, reason }, this.#groups, leaseMs, worker);
    switch (blocked.kind) {
      case "blocked":
        return { kind: "blocked" };
      case "again":
        return blocked;
      case "superseded":
        return { kind: "superseded", settlement };
      case "unknown":
        return { kind: "left" };
    }
  }

  async #ask(
    name: string,
    job: Job<any, any, any>,
    inputs: readonly unknown[] | (() => readonly unknown[] | Promise<readonly unknown[]>),
    options: ChildrenOptions,
  ): Promise<readonly ChildOutcome<unknown>[]> {
    if (this.#ended !== undefined) throw this.#ended;
    checkName("name of children", name);
    checkOptions("children()", options, ["tenant", "priority", "delayMs", "expireAfterMs"]);
    if (this.#names.has(name)) throw fault("NT_CHILDREN", { got: `\`${name}\` a second time` });
    this.#names.add(name);
    this.#looking++;
    let outcomes: readonly ChildOutcome<unknown>[] | undefined;
    try {
      outcomes = await this.#look(name, job, inputs, options);
    } catch (error) {
      this.#failure ??= { error };
      throw error;
    } finally {
      this.#looking--;
      if (this.#looking === 0) for (const told of this.#told.splice(0)) told();
    }
    if (outcomes !== undefined) return outcomes;
    // What was asked for at the same time is enqueued at the same time, or not at all.
    if (this.#looking > 0) await new Promise<void>((resolve) => this.#told.push(resolve));
    if (this.#failure !== undefined) throw this.#failure.error;
    throw (this.#ended ??= new WaitsForChildren(`waits for its children: ${name}`));
  }

  /** Undefined: they have to be waited for. */
  async #look(
    name: string,
    job: Job<any, any, any>,
    inputs: readonly unknown[] | (() => readonly unknown[] | Promise<readonly unknown[]>),
    options: ChildrenOptions,
  ): Promise<readonly ChildOutcome<unknown>[] | undefined> {
    const group = await this.#host.store.children.group(this.#claimed, this.#consumer, name);
    if (group === undefined) {
      const given = typeof inputs === "function" ? await inputs() : inputs;
      const made = await this.#made(name, job, given, options);
      if (this.#ended !== undefined) return undefined;
      this.#groups.push(made);
      if (given.length === 0) return [];
      this.#waitedFor.push(`${name} (${given.length})`);
      return undefined;
    }
    if (group.job !== job.name) {
      const got = `\`${name}\`, whose children are of job \`${group.job}\`, not \`${job.name}\``;
      throw fault("NT_CHILDREN", { got, next: "Give the group of the other job another name." });
    }
    if (group.resultBytes > defaults.childrenResultBytes) {
      throw fault("NT_CHILDREN", {
        expected: `results of ${defaults.childrenResultBytes} bytes together at most`,
        got: `${group.resultBytes} bytes of \`${name}\``,
        next: "Let the children store what they make, and return where it is.",
      });
    }
    const outcomes = group.outstanding ? undefined : await this.#outcomes(group.ids);
    if (outcomes === undefined) this.#waitedFor.push(`${name} (${group.ids.length})`);
    return outcomes;
  }

  /** All inputs are checked before anything is written. */
  async #made(
    name: string,
    job: Job<any, any, any>,
    inputs: readonly unknown[],
    options: ChildrenOptions,
  ): Promise<NewGroup> {
    if (inputs.length > defaults.childrenMost) {
      throw fault("NT_CHILDREN", {
        expected: `${defaults.childrenMost} children of a group at most`,
        got: `${inputs.length} of \`${name}\``,
        next: "Give each child a part of the work, and children of its own.",
      });
    }
    const { clock, random } = this.#host;
    const { messageId, message, priority } = this.#claimed;
    const key = digest("children", messageId, this.#consumer, name);
    const headers = { parent: messageId, group: name };
    const arrivals = [];
    for (const [i, input] of inputs.entries()) {
      await job.check(input);
      const level = (options.priority ?? priority) as ChildrenOptions["priority"] & number;
      const one = parcel(job.name, input, { tenant: message.tenant, ...options, priority: level });
      arrivals.push(arrival({ ...one, key: digest("child", key, String(i)), headers }, clock, random));
    }
    return { name, key, job: job.name, arrivals };
  }

  /** Undefined where one is outstanding after all: it was replayed meanwhile. */
  async #outcomes(ids: readonly string[]): Promise<readonly ChildOutcome<unknown>[] | undefined> {
    const outcomes: ChildOutcome<unknown>[] = [];
    for (let i = 0; i < ids.length; i += BATCH) {
      const some = ids.slice(i, i + BATCH);
      const found = await this.#host.store.outcomes(some);
      for (const id of some) {
        const outcome = childOutcome(id, found.get(id));
        if (outcome === undefined) return undefined;
        outcomes.push(outcome);
      }
    }
    return outcomes;
  }
}

function childOutcome(id: string, outcome: Outcome = { kind: "unknown" }): ChildOutcome<unknown> | undefined {
  switch (outcome.kind) {
    case "outstanding":
      return undefined;
    case "completed":
      return { status: "completed", id, result: outcome.result };
    case "dead":
    case "cancelled":
      return { status: outcome.kind, id, error: outcome.error };
    case "unknown":
      return { status: "unknown", id, error: "nothing is kept of it" };
  }
}
