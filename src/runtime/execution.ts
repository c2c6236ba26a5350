import { fault, isFault } from "../core/errors.ts";
import type { Clock, Random } from "../core/ports/clock.ts";
import type { Logger } from "../core/ports/logger.ts";
import type { Claim, Claimed, Settlement, Store } from "../core/ports/store.ts";
import { JOBS } from "../core/topic.ts";
import { Children } from "./children.ts";
import { HandlerTx, RunAgainAlone } from "./handler-tx.ts";
import type { Consumer } from "./consumer.ts";
import { eventOf } from "./event.ts";
import type { HandlerContext, Message } from "./face.ts";
import type { Lanes } from "./lane.ts";
import { resultJson } from "./json.ts";
import { Notes } from "./notes.ts";
import type { Pause } from "./pause.ts";
import { Steps } from "./steps.ts";
import { failed, type Run, settlement } from "./verdict.ts";

export interface ExecutionHost {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly pause: Pause;
  /** Who this process is. */
  readonly worker: string;
  readonly leaseMs: number;
}

/** How an execution ended, before anything is settled. */
export type Ended =
  | { readonly kind: "settled-in-tx" }
  /** To be settled apart: no effects, or effects rolled back. */
  | { readonly kind: "settle"; readonly settlement: Settlement }
  | { readonly kind: "superseded"; readonly settlement: Settlement }
  /** It waits for its children, which have been enqueued. */
  | { readonly kind: "blocked" }
  | { readonly kind: "again"; readonly claim: Claim }
  /** Nothing is known: left to the claim loop. */
  | { readonly kind: "left" };

/**
 * One run of one handler: run, then settle. `run()` resolves when the handler is done with, so that the next one may
 * start; `ended` resolves when its transaction is.
 */
export class Execution {
  readonly claimed: Claimed;
  readonly consumer: Consumer;
  readonly ended: Promise<Ended>;
  readonly #host: ExecutionHost;
  readonly #tx: HandlerTx;
  #steps: Steps | undefined;
  #children: Children | undefined;
  readonly #reruns: number;
  readonly #began: number;
  #result: string | undefined;
  #notes: Notes | undefined;
  #resolveEnded!: (ended: Ended) => void;
  #controller: AbortController | undefined;
  #abortReason: Error | undefined;
  #onAbort: ((reason: Error) => void) | undefined;

  constructor(host: ExecutionHost, consumer: Consumer, lanes: Lanes, claimed: Claimed, alone: boolean, reruns: number) {
    this.#host = host;
    this.consumer = consumer;
    this.claimed = claimed;
    this.#reruns = reruns;
    this.#began = host.clock.monotonic();
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve));
    const how = reruns > 0 ? "again" : alone || claimed.alone ? "alone" : "shared";
    this.#tx = new HandlerTx(lanes, [claimed], consumer, how, host);
  }

  /** Timeout, lost lease or shutdown: the handler is told, its transaction is taken away, and half of it never commits. */
  abort(reason: Error): void {
    if (this.#abortReason !== undefined) return;
    this.#abortReason = reason;
    this.#controller?.abort(reason);
    this.#onAbort?.(reason);
  }

  /** Somebody else has it. */
  lose(claim: Claim, reason: Error): void {
    if (claim.claim === this.claimed.claim) this.abort(reason);
  }

  /** It has run for longer than its consumer allows. */
  timeOut(): void {
    this.abort(fault("NT_TIMEOUT", { got: `a handler still running after ${this.consumer.timeoutMs} ms` }));
  }

  /** `onHandled` is called as soon as the handler has returned, before its transaction goes on to the next one. */
  async run(onHandled: () => void): Promise<void> {
    let failure: unknown;
    let failed = false;
    try {
      if (this.#abortReason !== undefined) throw this.#abortReason;
      const returned = await this.#handle();
      await this.#tx.returned();
      if (this.consumer.source === JOBS) {
        this.#result = resultJson("NT_JOB_RESULT", `job \`${this.consumer.name}\``, returned);
      }
      // A handler that swallowed what happened to it does not pass for a success.
      if (this.#abortReason !== undefined) throw this.#abortReason;
      this.#tx.checkUsable();
      this.#steps?.check();
      this.#children?.check();
    } catch (error) {
      failed = true;
      failure = this.#steps?.ended ?? this.#children?.ended ?? this.#abortReason ?? this.#tx.refusal ?? error;
    }
    onHandled();
    void this.#finish(failed, failure).then(this.#resolveEnded, (error: unknown) => {
      this.#host.logger.error({ error, deliveryId: this.claimed.deliveryId }, "execution left to the claim loop");
      this.#resolveEnded({ kind: "left" });
    });
  }

  /** Ends with the handler, or with its abortion: what it does after that counts for nothing. */
  #handle(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#onAbort = reject;
      // A handler that throws at once throws in here, which rejects.
      const { check, handler } = this.consumer;
      const event = eventOf(this.claimed.message.body);
      const context = this.#context();
      const returned =
        check === undefined
          ? handler(event, context)
          : Promise.resolve(check(event)).then((input) => handler(input, context));
      if (typeof (returned as PromiseLike<unknown> | undefined)?.then === "function") {
        (returned as PromiseLike<unknown>).then(resolve, reject);
      } else resolve(returned);
    });
  }

  /** What few handlers ask for is made when it is asked for. */
  #context(): HandlerContext {
    const { claimed, consumer } = this;
    const tx = this.#tx;
    let message: Message | undefined;
    const makeMessage = (): Message => {
      const { body, ...rest } = claimed.message;
      return { ...rest, bytes: body };
    };
    const makeSteps = (): Steps => new Steps(this.#host, claimed, consumer.name, tx, (): AbortSignal => this.#signal());
    const step = (): Steps => (this.#steps ??= makeSteps());
    const notes = (): Notes => (this.#notes ??= new Notes(this.#host, claimed));
    const children = (): Children => (this.#children ??= new Children(this.#host, claimed, consumer.name));
    const signal = (): AbortSignal => this.#signal();
    return {
      get message() {
        return (message ??= makeMessage());
      },
      consumer: consumer.name,
      deliveryId: claimed.deliveryId,
      attempt: claimed.attempt,
      tx,
      get step() {
        return step();
      },
      send: (topic, payload, options) => tx.send(topic, payload, options),
      children: (name, job, inputs, options) => children().ask(name, job, inputs, options),
      get signal() {
        return signal();
      },
      progress: (done, line) => notes().write(done, line),
      log: this.#host.logger,
    };
  }

  async #finish(failed: boolean, failure: unknown): Promise<Ended> {
    const turn = this.#tx.turn;
    const again = failure instanceof RunAgainAlone || this.#tx.mustRunAgain;
    const ranMs = this.#ranMs();
    if (turn !== undefined) turn.figures = () => ({ ranMs, reruns: this.#reruns, ...this.#kept() });
    this.#tx.revoke();
    turn?.end(again ? "again" : failed ? "undo" : "keep");
    if (turn !== undefined) {
      const end = await turn.settled;
      if (end.kind === "committed") return { kind: "settled-in-tx" };
      if (end.kind === "again") return { kind: "again", claim: end.claims[0] as Claim };
      if (end.kind === "failed") {
        return { kind: "settle", settlement: { ...this.#failed(end.error), ...(end.claims[0] as Claim) } };
      }
      if (end.kind === "superseded") return { kind: "superseded", settlement: this.#settlement("interrupted") };
      if (end.kind === "unknown") return { kind: "left" };
    }
    if (!failed) return { kind: "settle", settlement: { ...this.#settlement("completed"), ...this.#kept() } };
    if (isFault(failure, "NT_CLAIM_LOST")) {
      return { kind: "superseded", settlement: this.#settlement("interrupted", failure) };
    }
    if (this.#children !== undefined && failure === this.#children.ended) return this.#block(this.#children);
    return { kind: "settle", settlement: this.#failed(failure) };
  }

  async #block(children: Children): Promise<Ended> {
    try {
      return await children.block(this.#settlement("interrupted"));
    } catch (error) {
      // Rolled back: nothing was enqueued.
      return { kind: "settle", settlement: this.#failed(error) };
    }
  }

  #failed(failure: unknown): Settlement {
    return failed(this.#run, failure, this.#host.random);
  }

  #settlement(outcome: Settlement["outcome"], failure?: unknown): Settlement {
    return settlement(this.#run, outcome, failure);
  }

  get #run(): Run {
    return { claimed: this.claimed, consumer: this.consumer, ranMs: this.#ranMs(), reruns: this.#reruns };
  }

  #kept(): { readonly result?: string } {
    return this.#result === undefined ? {} : { result: this.#result };
  }

  #ranMs(): number {
    return this.#host.clock.monotonic() - this.#began;
  }

  #signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#abortReason !== undefined) this.#controller.abort(this.#abortReason);
    }
    return this.#controller.signal;
  }
}
