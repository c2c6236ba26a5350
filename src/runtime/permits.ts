/** Transactions of handlers at the same time in one process: leaves connections for claims, steps and settlements. */
const TRANSACTIONS = 8;
/** Of them, for consumers that have none open. */
const KEPT = 2;

export function transactionPermits<Holder>(consumers: number): Permits<Holder> {
  return new Permits(TRANSACTIONS, consumers > 1 ? KEPT : 0);
}

/**
 * Permits for so many at a time, handed on in the order of asking. The last `kept` of them go only to a holder that has
 * none: whoever takes many and gives none back, because its handlers hang, does not hold up those that ask for their first.
 */
export class Permits<Holder> {
  readonly #count: number;
  readonly #kept: number;
  readonly #held = new Map<Holder, number>();
  #taken = 0;
  #asking: { readonly holder: Holder; readonly grant: () => void }[] = [];

  constructor(count: number, kept: number) {
    this.#count = count;
    this.#kept = kept;
  }

  take(holder: Holder): Promise<void> {
    return new Promise((grant) => {
      this.#asking.push({ holder, grant });
      this.#grant();
    });
  }

  give(holder: Holder): void {
    this.#taken--;
    const left = (this.#held.get(holder) ?? 0) - 1;
    if (left > 0) this.#held.set(holder, left);
    else this.#held.delete(holder);
    this.#grant();
  }

  #grant(): void {
    if (this.#asking.length === 0 || this.#taken >= this.#count) return;
    this.#asking = this.#asking.filter(({ holder, grant }) => {
      const most = this.#held.has(holder) ? this.#count - this.#kept : this.#count;
      if (this.#taken >= most) return true;
      this.#taken++;
      this.#held.set(holder, (this.#held.get(holder) ?? 0) + 1);
      grant();
      return false;
    });
  }
}
