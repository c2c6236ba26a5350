import type { Claim, Transaction } from "../core/ports/store.ts";

/** What became of a turn after its transaction ended. */
export type TurnEnd =
  | { readonly kind: "committed" | "superseded" | "unknown" | "undone" }
  /** Rolled back through no fault of its own: to be run again alone, under the new claim. */
  | { readonly kind: "again"; readonly claims: readonly Claim[] }
  /** Rolled back although it ran alone: its own doing, and a failed attempt, to be settled under the new claim. */
  | { readonly kind: "failed"; readonly claims: readonly Claim[]; readonly error: unknown };

export interface Figures {
  readonly ranMs: number;
  readonly reruns: number;
  /** What a job returned, as JSON. */
  readonly result?: string;
}

/** One execution's use of a transaction, for one delivery or the members of a batch: queued, given, ended by the handler, settled by the lane. */
export class Turn {
  readonly claims: readonly Claim[];
  readonly tenant: string;
  readonly alone: boolean;
  readonly begun: Promise<{ tx: Transaction; single: boolean }>;
  readonly ended: Promise<"keep" | "undo" | "again">;
  readonly settled: Promise<TurnEnd>;
  cancelled = false;
  given = false;
  /** The handler's consumer has no place in groups. */
  leaves = false;
  /** A statement waited for a lock too long, or was a deadlock's victim. */
  lockWait = false;
  sends = false;
  /** The first error of a statement. */
  error: unknown;
  /** Of each of its deliveries. */
  figures: (claim: Claim) => Figures = () => ({ ranMs: 0, reruns: 0 });
  #begin!: (given: { tx: Transaction; single: boolean }) => void;
  #refuse!: (error: unknown) => void;
  #end!: (verdict: "keep" | "undo" | "again") => void;
  #settle!: (end: TurnEnd) => void;
  #waits = false;

  constructor(claims: readonly Claim[], tenant: string, alone: boolean) {
    this.claims = claims;
    this.tenant = tenant;
    this.alone = alone;
    this.begun = new Promise((resolve, reject) => {
      this.#begin = resolve;
      this.#refuse = reject;
    });
    this.begun.catch(() => {});
    this.ended = new Promise((resolve) => (this.#end = resolve));
    this.settled = new Promise((resolve) => (this.#settle = resolve));
  }

  /** It waits for the end of its group before it learns what became of it. */
  get waits(): boolean {
    return this.#waits;
  }

  give(tx: Transaction, single: boolean): void {
    this.given = true;
    this.#begin({ tx, single });
  }

  refuse(error: unknown): void {
    this.cancelled = true;
    this.error = error;
    this.#refuse(error);
    this.#settle({ kind: "undone" });
  }

  /** The handler is done with it. Before it was given, it simply leaves the queue. */
  end(verdict: "keep" | "undo" | "again"): void {
    this.#waits = verdict === "again";
    if (!this.given) {
      this.cancelled = true;
      this.#settle({ kind: "undone" });
    }
    this.#end(verdict);
  }

  settle(end: TurnEnd): void {
    this.#settle(end);
  }
}
