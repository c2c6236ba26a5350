/** A fixed number of permits, handed on in the order of asking. */
export class Permits {
  #free: number;
  #asking: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  take(): Promise<void> {
    if (this.#free > 0) {
      this.#free--;
      return Promise.resolve();
    }
    return new Promise((resolve) => this.#asking.push(resolve));
  }

  give(): void {
    const next = this.#asking.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}
