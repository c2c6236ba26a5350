import { defaults } from "./defaults.ts";
import { fault } from "./errors.ts";

export interface RetryPolicy {
  /** Attempts before the dead letter. */
  readonly maxAttempts: number;
  /** The first retry waits up to this long. */
  readonly baseMs: number;
  readonly factor: number;
  /** No retry waits longer than this. */
  readonly maxMs: number;
}

export function retryPolicy(given: Partial<RetryPolicy> = {}): RetryPolicy {
  const policy = {
    maxAttempts: given.maxAttempts ?? defaults.maxAttempts,
    baseMs: given.baseMs ?? defaults.backoffBaseMs,
    factor: given.factor ?? defaults.backoffFactor,
    maxMs: given.maxMs ?? defaults.backoffMaxMs,
  };
  if (!Number.isInteger(policy.maxAttempts) || policy.maxAttempts < 1 || policy.maxAttempts > 30_000) {
    throw fault("NT_OPTION", { expected: "maxAttempts from 1 to 30000", got: String(given.maxAttempts) });
  }
  for (const name of ["baseMs", "maxMs"] as const) {
    if (!(policy[name] >= 0 && policy[name] <= 30 * 86_400_000)) {
      throw fault("NT_OPTION", { expected: `${name} from 0 ms to 30 days`, got: String(given[name]) });
    }
  }
  if (!(policy.factor >= 1 && policy.factor <= 100)) {
    throw fault("NT_OPTION", { expected: "factor from 1 to 100", got: String(given.factor) });
  }
  return policy;
}

/**
 * Full jitter: anywhere between nothing and the exponential bound, so that a thousand failures of one outage
 * do not come back at one moment. `random` is in [0, 1).
 */
export function backoffMs(policy: RetryPolicy, attempt: number, random: number): number {
  // Nothing times the infinite growth of a late attempt would be NaN.
  const grown = policy.baseMs === 0 ? 0 : policy.baseMs * policy.factor ** (attempt - 1);
  const bound = Math.min(policy.maxMs, grown);
  return Math.round(bound * random);
}
