import { catalogue, type Entry } from "./catalogue.ts";
import { nearest } from "./nearest.ts";

/** The codes of the catalogue. */
export type ErrorCode = keyof typeof catalogue;

/** Any error that Nevertwice throws on purpose. `code` is stable; the text may change. */
export class NevertwiceError extends Error {
  override readonly name = "NevertwiceError";
  readonly code: ErrorCode;
  readonly expected: string;
  readonly got: string;
  readonly next: string;
  /** Whether the same call can succeed later without a change of code or configuration. */
  readonly canRetry: boolean;

  constructor(code: ErrorCode, got: string, details: { expected?: string; next?: string; cause?: unknown }) {
    const entry: Entry = catalogue[code];
    const expected = details.expected ?? entry.expected;
    const next = details.next ?? entry.next;
    super(`${code}: expected ${expected}, got ${got}. ${next}`, { cause: details.cause });
    this.code = code;
    this.expected = expected;
    this.got = got;
    this.next = next;
    this.canRetry = entry.canRetry;
  }
}

/** Makes an error of the catalogue; `expected` and `next` replace the catalogue's own words where more is known. */
export function fault(
  code: ErrorCode,
  details: { got: string; expected?: string; next?: string; cause?: unknown },
): NevertwiceError {
  return new NevertwiceError(code, details.got, details);
}

export function isFault(error: unknown, code?: ErrorCode): error is NevertwiceError {
  return error instanceof NevertwiceError && (code === undefined || error.code === code);
}

/**
 * Thrown by a handler to say that trying again cannot help: the delivery is dead-lettered at once,
 * kept, shown and replayable.
 */
export class TerminalError extends Error {
  override readonly name: string = "TerminalError";
}

/** Thrown by a handler to say when to try again. The attempt counts towards `maxAttempts`. */
export class RetryError extends Error {
  override readonly name = "RetryError";
  /** Milliseconds from now until the next attempt. */
  readonly afterMs: number;

  constructor(message: string, options: { afterMs: number; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.afterMs = checkAfterMs(options.afterMs);
  }
}

/**
 * Thrown by a handler that is not to run yet: the delivery is due again after `afterMs`, its effects are rolled back, and
 * the attempt does not count.
 */
export class SnoozeError extends Error {
  override readonly name = "SnoozeError";
  /** Milliseconds from now. */
  readonly afterMs: number;

  constructor(message: string, options: { afterMs: number; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.afterMs = checkAfterMs(options.afterMs);
  }
}

function checkAfterMs(afterMs: number): number {
  if (Number.isFinite(afterMs) && afterMs >= 0) return afterMs;
  throw fault("NT_OPTION", { expected: "afterMs of 0 or more milliseconds", got: String(afterMs) });
}

/** An unknown option, with the nearest known one: computed from the names, so that it is always true. */
export function checkOptions(what: string, given: object, known: readonly string[]): void {
  for (const name of Object.keys(given)) {
    if (known.includes(name)) continue;
    const near = nearest(name, known);
    throw fault("NT_OPTION", {
      expected: `the options of ${what} (${known.join(", ")})`,
      got: `\`${name}\``,
      next: near === undefined ? "Remove it; nothing was started." : `Did you mean \`${near}\`?`,
    });
  }
}
