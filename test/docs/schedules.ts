// What docs/schedules.md takes as given.
import type { Nevertwice, Tx } from "nevertwice";

export declare const nt: Nevertwice;
export declare function report(day: string, tx: Tx): Promise<void>;
