import { type ExecutionHost } from "./execution.ts";
import type { Consumer } from "./consumer.ts";
export interface WorkerHost extends ExecutionHost {
    readonly worker: string;
    readonly leaseMs: number;
    hint(): void;
}
export declare class Worker {
    #private;
    constructor(host: WorkerHost, consumers: readonly Consumer[]);
    start(): void;
    /** It has not gone round for twice the longest pause: something that should have answered did not. */
    get stuck(): boolean;
    wake(): void;
    /**
     * Claims nothing more, gives back what has not started, lets running handlers end until the deadline, then aborts
     * them: their transactions roll back and another worker takes them.
     */
    stop(deadlineMs: number): Promise<void>;
}
