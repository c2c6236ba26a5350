import type { Place, State } from "./server.ts";
/** What PostgreSQL itself wrote about the server of a data folder. */
export declare function cluster(data: string): Promise<{
    pid: number;
} | undefined>;
/** Whether the server lets us in. */
export declare function answers(state: State, database: string): Promise<boolean>;
/** Starts the server as a process of its own, so that it outlives a killed or interrupted parent. */
export declare function startCluster(place: Place, state: State): Promise<void>;
/** SIGINT: fast shutdown; SIGQUIT: immediate; SIGKILL: all of its processes at once. Resolves when it is gone. */
export declare function stopCluster(data: string, signal: "SIGINT" | "SIGQUIT" | "SIGKILL"): Promise<void>;
