import { backoffMs } from "../core/backoff.ts";
import { defaults } from "../core/defaults.ts";
import { isFault, RetryError, SnoozeError, TerminalError } from "../core/errors.ts";
import type { Random } from "../core/ports/clock.ts";
import type { Claimed, Settlement } from "../core/ports/store.ts";
import type { Consumer } from "./consumer.ts";
import { describe } from "./describe.ts";

/** One run of one delivery's handler, or of a batch's that it was a member of. */
export interface Run {
  readonly claimed: Claimed;
  readonly consumer: Consumer;
  readonly ranMs: number;
  readonly reruns: number;
}

export function settlement(run: Run, outcome: Settlement["outcome"], failure?: unknown): Settlement {
  const { deliveryId, messageId, claim } = run.claimed;
  const settled = { deliveryId, messageId, claim, outcome, ranMs: run.ranMs, reruns: run.reruns };
  return failure === undefined ? settled : { ...settled, error: describe(failure) };
}

/** What becomes of a delivery whose run has failed: again later, at once elsewhere, or its dead letter. */
export function failed(run: Run, failure: unknown, random: Random): Settlement {
  const { claimed, consumer } = run;
  if (isFault(failure, "NT_SHUTDOWN")) return settlement(run, "interrupted", failure);
  if (failure instanceof SnoozeError) {
    // The text alone: the same reason is recorded once.
    return { ...settlement(run, "interrupted"), error: failure.message, delayMs: failure.afterMs };
  }
  if (isFault(failure, "NT_STEPS_PAUSED")) {
    // Not all at the same moment.
    const delayMs = defaults.pausedStepMs * (0.8 + 0.2 * random.fraction());
    return { ...settlement(run, "interrupted"), error: failure.message, delayMs };
  }
  const terminal = failure instanceof TerminalError || (isFault(failure) && !failure.canRetry);
  if (terminal || claimed.attempt >= consumer.retry.maxAttempts) return settlement(run, "dead", failure);
  const delayMs =
    failure instanceof RetryError ? failure.afterMs : backoffMs(consumer.retry, claimed.attempt, random.fraction());
  return { ...settlement(run, "retry", failure), delayMs };
}
