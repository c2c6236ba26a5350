// What docs/jobs.md takes as given.
import type { Job, Nevertwice } from "nevertwice";

export { TerminalError } from "nevertwice";
export declare const nt: Nevertwice;
export declare function render(day: string, idempotencyKey: string): Promise<{ readonly url: string }>;
export declare function runNightly(input: { readonly day: string }): Promise<void>;
interface Keyed {
  readonly id: string;
}
export declare const sync: Job<Keyed>;
export declare const shop: Keyed;
export declare const mail: Job<{ readonly text: string }>;
export declare const note: { readonly text: string };
export declare const user: string;
export declare const index: Job<Keyed>;
export declare const page: Keyed;
export declare function isWrong(page: Keyed): boolean;
export { allCompleted } from "nevertwice";
export declare function countWords(url: string): Promise<number>;
export declare function readSitemap(host: string): Promise<string[]>;
