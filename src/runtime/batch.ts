/**
 * A batch: many deliveries of one consumer in one call of its handler, and one transaction.
 *
 * What the handler writes commits with the completion of all its members, or not at all. A member that fails costs nobody
 * else anything: what was written is rolled back, the member is settled as failed, and the rest runs again without it, as the
 * same attempt. A handler that throws does not say whose fault it was: the batch is halved until the culprit is alone. The
 * engine's rules hold as for a single delivery: each member is fenced by its own claim, the settlement of a batch whose
 * members are not all there any more is an error of the statement, and after an unknown COMMIT one fenced update decides for
 * all of them together.
 */
import { fault, isFault, RetryError, SnoozeError } from "../core/errors.ts";
import type { Claim, Claimed } from "../core/ports/store.ts";
import type { BatchMember } from "./batch-face.ts";
import type { Consumer } from "./consumer.ts";
import { eventOf } from "./event.ts";
import type { Ended, ExecutionHost } from "./execution.ts";
import { HandlerTx } from "./handler-tx.ts";
import { resultJson } from "./json.ts";
import type { Lanes } from "./lane.ts";
import type { Item } from "./line.ts";
import type { TurnEnd } from "./turn.ts";
import { failed, type Run, settlement } from "./verdict.ts";

/** A delivery in a batch, as the handler leaves it. */
interface Member {
  readonly item: Item;
  /** Set by `fail`. */
  failure: { readonly error: unknown } | undefined;
  result: string | undefined;
}

/** One run of a batch handler, and the runs that come of its failures. */
export class BatchExecution {
  readonly ended: Promise<readonly Ended[]>;
  readonly #host: ExecutionHost;
  readonly #consumer: Consumer;
  readonly #lanes: Lanes;
  readonly #items: readonly Item[];
  readonly #ended = new Map<Item, Ended>();
  readonly #lost = new Set<Item>();
  readonly #events = new Map<Item, unknown>();
  readonly #began: number;
  #resolveEnded!: (ended: readonly Ended[]) => void;
  #abortReason: Error | undefined;
  /** Of the call of the handler that is under way. */
  #interrupt: ((reason: Error) => void) | undefined;
  #runs = 0;

  constructor(host: ExecutionHost, consumer: Consumer, lanes: Lanes, items: readonly Item[]) {
    this.#host = host;
    this.#consumer = consumer;
    this.#lanes = lanes;
    this.#items = items;
    this.#began = host.clock.monotonic();
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve));
  }

  /** Timeout or shutdown: the whole batch is rolled back. */
  abort(reason: Error): void {
    this.#abortReason ??= reason;
    this.#interrupt?.(reason);
  }

  /** Somebody else has this member: the rest runs again without it. */
  lose(claim: Claim, reason: Error): void {
    const item = this.#items.find((one) => one.claimed.claim === claim.claim);
    if (item === undefined || this.#ended.has(item)) return;
    this.#lost.add(item);
    this.#interrupt?.(reason);
  }

  timeOut(): void {
    this.abort(fault("NT_TIMEOUT", { got: `a batch handler still running after ${this.#consumer.timeoutMs} ms` }));
  }

  async run(onHandled: () => void): Promise<void> {
    try {
      const batches: (readonly Item[])[] = [await this.#checked()];
      for (let batch = batches.pop(); batch !== undefined; batch = batches.pop()) {
        batches.push(...(await this.#once(batch)));
      }
    } catch (error) {
      this.#host.logger.error({ error, consumer: this.#consumer.name }, "batch left to the claim loop");
    }
    onHandled();
    this.#resolveEnded(this.#items.map((item) => this.#ended.get(item) ?? { kind: "left" }));
  }

  /** Those whose input a job's schema accepts; the others fail before anything has begun. */
  async #checked(): Promise<readonly Item[]> {
    const { check } = this.#consumer;
    for (const item of this.#items) {
      try {
        const event = eventOf(item.claimed.message.body);
        this.#events.set(item, check === undefined ? event : await check(event));
      } catch (error) {
        this.#fail(item, error, 0);
      }
    }
    return this.#items.filter((item) => !this.#ended.has(item));
  }

  /** Runs the handler once; the batches that are to run after it. */
  async #once(batch: readonly Item[]): Promise<readonly (readonly Item[])[]> {
    const items = batch.filter((item) => !this.#lost.has(item));
    for (const item of batch.filter((one) => this.#lost.has(one))) this.#supersede(item);
    if (items.length === 0) return [];
    const members = items.map((item): Member => ({ item, failure: undefined, result: undefined }));
    const claims = items.map((item) => item.claimed);
    const tx = new HandlerTx(this.#lanes, claims, this.#consumer, "alone", this.#host);
    const runs = this.#runs++;
    let thrown: { readonly error: unknown } | undefined;
    try {
      if (this.#abortReason !== undefined) throw this.#abortReason;
      await this.#handle(members, tx);
      await tx.returned();
      if (this.#abortReason !== undefined) throw this.#abortReason;
      tx.checkUsable();
    } catch (error) {
      thrown = { error: this.#abortReason ?? tx.refusal ?? error };
    }
    const { turn } = tx;
    const results = new Map(members.map(({ item, result }) => [item.claimed.claim, result]));
    const ranMs = this.#ranMs();
    if (turn !== undefined) {
      turn.figures = ({ claim }) => ({ ranMs, reruns: runs, ...kept(results.get(claim)) });
    }
    tx.revoke();
    const lost = items.some((item) => this.#lost.has(item));
    const failures = members.filter((member) => member.failure !== undefined);
    // Nothing was written through `tx`: there is nothing to roll back, and no reason to run the others again.
    const keep = thrown === undefined && !lost && (failures.length === 0 || turn === undefined);
    turn?.end(keep ? "keep" : "undo");
    const end = await turn?.settled;
    if (keep) {
      for (const member of members) {
        const { item, failure } = member;
        if (failure !== undefined) this.#fail(item, failure.error, runs);
        else if (end === undefined) this.#complete(member, runs);
        else this.#follow(item, end, runs, items.length === 1);
      }
      return [];
    }
    if (lost && this.#abortReason === undefined) return [items];
    if (thrown === undefined) {
      for (const { item, failure } of failures) this.#fail(item, failure?.error, runs);
      const rest = members.filter((member) => member.failure === undefined).map((member) => member.item);
      return rest.length === 0 ? [] : [rest];
    }
    const { error } = thrown;
    const together = this.#abortReason !== undefined || error instanceof RetryError || error instanceof SnoozeError;
    if (items.length === 1 || together) {
      for (const item of items) this.#fail(item, error, runs);
      return [];
    }
    const half = items.length >> 1;
    return [items.slice(half), items.slice(0, half)];
  }

  /** Without a transaction. */
  #complete({ item, result }: Member, runs: number): void {
    const completed = { ...settlement(this.#runOf(item, runs), "completed"), ...kept(result) };
    this.#ended.set(item, { kind: "settle", settlement: completed });
  }

  /** What became of a member with the batch's transaction. */
  #follow(item: Item, end: TurnEnd, runs: number, single: boolean): void {
    if (end.kind === "committed") return void this.#ended.set(item, { kind: "settled-in-tx" });
    if (end.kind === "unknown") return void this.#ended.set(item, { kind: "left" });
    const claims = end.kind === "again" || end.kind === "failed" ? end.claims : [];
    const claim = claims.find((one) => one.deliveryId === item.claimed.deliveryId);
    if (claim === undefined) return this.#supersede(item);
    // Rolled back with nobody else in it: its own doing.
    if (end.kind === "failed" && single) {
      const settled = { ...failed(this.#runOf(item, runs), end.error, this.#host.random), ...claim };
      this.#ended.set(item, { kind: "settle", settlement: settled });
    } else this.#ended.set(item, { kind: "again", claim });
  }

  /** Ends with the handler, or with what interrupts it. */
  async #handle(members: readonly Member[], tx: HandlerTx): Promise<void> {
    const { batch } = this.#consumer;
    if (batch === undefined) throw new Error("a batch without a batch handler");
    const controller = new AbortController();
    const given = members.map((member) => this.#given(member, tx));
    await new Promise((resolve, reject) => {
      this.#interrupt = (reason) => {
        controller.abort(reason);
        reject(reason);
      };
      const context = { consumer: this.#consumer.name, tx, signal: controller.signal, log: this.#host.logger };
      // A handler that throws at once throws in here, which rejects.
      Promise.resolve(batch.handler(given, context)).then(resolve, reject);
    }).finally(() => (this.#interrupt = undefined));
  }

  #given(member: Member, tx: HandlerTx): BatchMember<unknown> {
    const { claimed } = member.item;
    const { body, ...rest } = claimed.message;
    return {
      event: this.#events.get(member.item),
      message: { ...rest, bytes: body },
      deliveryId: claimed.deliveryId,
      attempt: claimed.attempt,
      fail: (error) => void (member.failure ??= { error }),
      result: (value) => {
        member.result = resultJson("NT_JOB_RESULT", `job \`${this.#consumer.name}\``, value);
      },
      send: (topic, payload, options) => tx.send(topic, payload, options, claimed),
    };
  }

  #fail(item: Item, error: unknown, runs: number): void {
    if (isFault(error, "NT_CLAIM_LOST")) return this.#supersede(item);
    this.#ended.set(item, { kind: "settle", settlement: failed(this.#runOf(item, runs), error, this.#host.random) });
  }

  #supersede(item: Item): void {
    const settled = settlement(this.#runOf(item, this.#runs), "interrupted");
    this.#ended.set(item, { kind: "superseded", settlement: settled });
  }

  #runOf({ claimed }: { readonly claimed: Claimed }, reruns: number): Run {
    return { claimed, consumer: this.#consumer, ranMs: this.#ranMs(), reruns };
  }

  #ranMs(): number {
    return this.#host.clock.monotonic() - this.#began;
  }
}

function kept(result: string | undefined): { readonly result?: string } {
  return result === undefined ? {} : { result };
}
