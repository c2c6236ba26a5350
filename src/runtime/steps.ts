import { fault, type NevertwiceError } from "../core/errors.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Logger } from "../core/ports/logger.ts";
import type { Claimed, StepBegun, Store } from "../core/ports/store.ts";
import { checkName } from "../core/topic.ts";
import { digest } from "./arrival.ts";
import { describe } from "./describe.ts";
import type { Step, StepTools } from "./face.ts";
import type { HandlerTx } from "./handler-tx.ts";
import { resultJson } from "./json.ts";
import type { Pause } from "./pause.ts";

/** An intent confirmed longer ago than this says little about now; the shortest lease is longer. */
const STALE_MS = 500;

/**
 * Outside effects. A fenced *intent* commits before the request leaves, and the result after it came: without the
 * intent, "never left" and "unknown" cannot be told apart. A finished step is never run again. Keys and results belong
 * to (message, consumer, name), so a replay finds them and two consumers never share one.
 *
 * A database that went back in time has forgotten results, and would make their requests again. So on a timeline that nobody
 * has confirmed no request leaves: the execution ends there, whatever its handler makes of the error, and is put off.
 */
export class Steps implements Step {
  readonly #store: Store;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #pause: Pause;
  readonly #claimed: Claimed;
  readonly #consumer: string;
  readonly #tx: HandlerTx;
  readonly #signal: () => AbortSignal;
  readonly #names = new Set<string>();
  #ended: NevertwiceError | undefined;

  constructor(
    host: { readonly store: Store; readonly logger: Logger; readonly clock: Clock; readonly pause: Pause },
    claimed: Claimed,
    consumer: string,
    tx: HandlerTx,
    signal: () => AbortSignal,
  ) {
    this.#store = host.store;
    this.#logger = host.logger;
    this.#clock = host.clock;
    this.#pause = host.pause;
    this.#claimed = claimed;
    this.#consumer = consumer;
    this.#tx = tx;
    this.#signal = signal;
  }

  async run<Result>(name: string, effect: (tools: StepTools) => Result | Promise<Result>): Promise<Result> {
    // What comes after a step that was not made must not be made either.
    this.check();
    checkName("step name", name);
    if (this.#names.has(name)) throw fault("NT_STEP_TWICE", { got: `\`${name}\` a second time` });
    this.#names.add(name);
    this.#checkTx(name);
    const idempotencyKey = stepKey(this.#claimed.messageId, this.#consumer, name);
    const begun = await this.#begin(name, idempotencyKey);
    if (begun.kind === "done") return begun.result as Result;
    if (begun.kind === "superseded") throw this.#lost(name);
    if (begun.kind === "paused") throw this.#held(name, begun.timeline);
    this.#pause.passed();
    const signal = this.#signal();
    signal.throwIfAborted();
    let result: Result;
    try {
      result = await effect({ idempotencyKey, signal, tries: begun.tries });
    } catch (error) {
      await this.#store.finishStep(this.#claimed, name, { error: describe(error) });
      throw error;
    }
    const recorded = await this.#store.finishStep(this.#claimed, name, {
      result: resultJson("NT_STEP_RESULT", `step \`${name}\``, result),
    });
    if (!recorded) throw this.#lost(name);
    return result;
  }

  /**
   * A process that was frozen while it waited for the answer may have been taken over meanwhile, and its successor may be
   * done: an answer that took so long is asked for again before the request leaves.
   */
  async #begin(name: string, idempotencyKey: string): Promise<StepBegun> {
    for (;;) {
      const asked = this.#clock.monotonic();
      const begun = await this.#store.beginStep(this.#claimed, name, idempotencyKey);
      if (begun.kind !== "begun" || this.#clock.monotonic() - asked < STALE_MS) return begun;
    }
  }

  /** What ends the execution, whatever its handler made of it: its claim is lost, or steps are paused. */
  get ended(): NevertwiceError | undefined {
    return this.#ended;
  }

  /** A handler that swallowed it must not pass for a success. */
  check(): void {
    if (this.#ended !== undefined) throw this.#ended;
  }

  #checkTx(name: string): void {
    if (!this.#tx.open) return;
    if (this.#tx.grouped) this.#tx.leaveGroups();
    const misuse = fault("NT_STEP_IN_TX", { got: `step \`${name}\` while \`tx\` is open` });
    if (this.#store.singleConnection) throw misuse;
    const line = misuse.stack?.split("\n").find((frame) => frame.includes("    at ") && !/steps\.[jt]s/.test(frame));
    this.#logger.warn(
      { consumer: this.#consumer, step: name, at: line?.trim(), next: misuse.next },
      "step while tx is open",
    );
  }

  #lost(name: string): Error {
    return (this.#ended ??= fault("NT_CLAIM_LOST", { got: `a newer execution, found by step \`${name}\`` }));
  }

  #held(name: string, timeline: string): Error {
    const held = (this.#ended ??= fault("NT_STEPS_PAUSED", { got: `timeline ${timeline} before step \`${name}\`` }));
    this.#pause.held(timeline, held);
    return held;
  }
}

/** The same for every attempt of this message and consumer, replays included. */
function stepKey(messageId: string, consumer: string, name: string): string {
  return `nt_${digest("step", messageId, consumer, name)}`;
}
