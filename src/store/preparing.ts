import type { Run } from "./accept.ts";
import type { Connections } from "./connections.ts";

/** An answer of so many rows pays for its planning. */
const LARGE = 200;
/** Slower than this, five times in a row: the plan may be older than the table is large. */
const SLOW_MS = 20;
const MOST_SLOW = 5;
const ANEW_MS = 10_000;

/**
 * One kind of statement, prepared while its answers are small: planning a claim costs four times what claiming little
 * does. But a cached plan may be older than its table is large, and read all of it: after an answer that is large, or five
 * in a row that took long, it is planned anew each time for a while.
 */
export class Preparing {
  readonly #connections: Connections;
  #anewUntil = -Infinity;
  #slow = 0;

  constructor(connections: Connections) {
    this.#connections = connections;
  }

  /** `rows` says how large an answer was. */
  async run<Result>(act: (run: Run) => Promise<Result>, rows: (result: Result) => number): Promise<Result> {
    const began = performance.now();
    const prepared = began > this.#anewUntil;
    const result = await act((text, values) => this.#connections.run(text, values, undefined, prepared));
    if (!prepared) return result;
    const ended = performance.now();
    this.#slow = ended - began > SLOW_MS ? this.#slow + 1 : 0;
    if (rows(result) >= LARGE || this.#slow >= MOST_SLOW) this.#anewUntil = ended + ANEW_MS;
    return result;
  }
}
