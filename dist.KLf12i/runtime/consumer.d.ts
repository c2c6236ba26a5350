import { type RetryPolicy } from "../core/backoff.ts";
import type { ConsumerDeclaration } from "../core/ports/store.ts";
import type { ConsumerOptions, Handler } from "./face.ts";
/** A declared consumer: what the code says, before any database. */
export interface Consumer extends ConsumerDeclaration {
    readonly handler: Handler<unknown>;
    readonly timeoutMs: number;
    readonly concurrency: number;
    readonly retry: RetryPolicy;
    readonly group: boolean;
}
export declare function consumer(source: string, topic: string, options: ConsumerOptions, handler: unknown): Consumer;
