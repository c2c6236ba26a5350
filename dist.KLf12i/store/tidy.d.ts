import type { Connections } from "./connections.ts";
export declare class Tidy {
    #private;
    constructor(connections: Connections, schema: string);
    run(options: {
        dedupeDays: number;
        retainDays: number;
    }): Promise<void>;
    /** This week's and the next three, the week before too: an accepting process's clock may be behind. */
    makePartitions(nowMs: number): Promise<void>;
}
