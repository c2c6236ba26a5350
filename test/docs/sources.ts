// What docs/sources.md takes as given.
import type { Nevertwice, Tx } from "nevertwice";

export declare const nt: Nevertwice;
export declare function takeOrder(order: { readonly id: string }, tx: Tx): Promise<void>;
