import type { Logger } from "../core/ports/logger.ts";
import type { Claimed, Store } from "../core/ports/store.ts";
import type { Step, StepTools } from "./face.ts";
import type { HandlerTx } from "./handler-tx.ts";
/**
 * Outside effects. A fenced *intent* commits before the request leaves, and the result after it came: without the
 * intent, "never left" and "unknown" cannot be told apart. A finished step is never run again. Keys and results belong
 * to (message, consumer, name), so a replay finds them and two consumers never share one.
 */
export declare class Steps implements Step {
    #private;
    constructor(host: {
        readonly store: Store;
        readonly logger: Logger;
    }, claimed: Claimed, consumer: string, tx: HandlerTx, signal: () => AbortSignal);
    run<Result>(name: string, effect: (tools: StepTools) => Result | Promise<Result>): Promise<Result>;
    /** A handler that swallowed the loss of its claim must not pass for a success. */
    check(): void;
}
