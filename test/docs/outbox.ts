// What docs/outbox.md takes as given.
import type { Nevertwice } from "nevertwice";
import type { Pool } from "pg";

export declare const nt: Nevertwice;
export declare const pool: Pool;
export declare const id: number;
