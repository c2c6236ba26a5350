import { type Account } from "./account.ts";
import { type Binaries } from "./binaries.ts";
export interface EmbeddedOptions {
    /** Where the data is kept. */
    readonly folder: string;
    /** Another version of the platform package: its name or its folder. */
    readonly packageName?: string;
    readonly settings?: Readonly<Record<string, string>>;
}
export interface EmbeddedServer {
    /** Over TCP on the loopback interface. */
    readonly url: string;
    /** Over the Unix socket; undefined where the platform has none. */
    readonly socketUrl: string | undefined;
    readonly port: number;
    readonly folder: string;
    readonly dataFolder: string;
    readonly pid: number;
    /** False: shared with another process, or taken over. */
    readonly started: boolean;
    /** Ends this use; the last one stops the server. Can be called twice. */
    leave(): Promise<void>;
}
/** What every process that shares the server must know. */
export interface State {
    readonly port: number;
    readonly password: string;
    readonly sockets: string | undefined;
}
export interface Place {
    readonly home: string;
    readonly data: string;
    readonly log: string;
    readonly account: Account | undefined;
    readonly binaries: Binaries;
    readonly settings: Readonly<Record<string, string>>;
}
/**
 * Starts the server of a folder, or joins it. Throws NT_EMBEDDED_MISSING without binaries, NT_EMBEDDED_VERSION for a
 * data folder of another major version, NT_EMBEDDED_START with the end of the log when it does not start.
 */
export declare function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedServer>;
/**
 * Stops the server and starts it again on the same port: `fast` and `immediate` as pg_ctl means them, `kill` sends SIGKILL
 * to all of its processes. For tests of crashes.
 */
export declare function restartEmbedded(server: EmbeddedServer, mode: "fast" | "immediate" | "kill"): Promise<void>;
