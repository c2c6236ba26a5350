import type { Clock } from "../core/ports/clock.ts";

/** What a loop sleeps on: it ends its sleep at once, also when it rings before the sleep has begun. */
export class Alarm {
  readonly #clock: Clock;
  #rung = false;
  #end: (() => void) | undefined;
  #at = Infinity;
  #cancel = (): void => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether it rang since the last `clear`. */
  get rung(): boolean {
    return this.#rung;
  }

  clear(): void {
    this.#rung = false;
  }

  ring(): void {
    this.#rung = true;
    this.#end?.();
  }

  /** Rings once, after `ms`; an earlier one that is set already stands. */
  ringIn(ms: number): void {
    const at = this.#clock.monotonic() + ms;
    if (at >= this.#at) return;
    this.#at = at;
    this.#cancel();
    this.#cancel = this.#clock.after(ms, () => {
      this.#at = Infinity;
      this.ring();
    });
  }

  /** Nothing keeps the process from ending any more. */
  stop(): void {
    this.#cancel();
  }

  sleep(ms: number): Promise<void> {
    if (this.#rung) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        this.#end = undefined;
        cancel();
        resolve();
      };
      const cancel = this.#clock.after(ms, end);
      this.#end = end;
    });
  }
}
