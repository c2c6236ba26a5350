import type { Runtime } from "../runtime/nevertwice.ts";
export interface ServeOptions {
    /** 0 takes any free port. */
    readonly port: number;
    /** @default all interfaces */
    readonly host?: string;
    /** Take the next free port when this one is taken. @default false */
    readonly elsewhere?: boolean;
}
export interface Serving {
    readonly url: string;
    readonly port: number;
    /** Takes no new request, answers those under way, and resolves when the last has been answered. */
    close(): Promise<void>;
}
/** Serves an instance. Throws NT_PORT when the port is taken. */
export declare function serve(nt: Runtime, options: ServeOptions): Promise<Serving>;
