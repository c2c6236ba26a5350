import type { Connections } from "./connections.ts";
/** One channel a schema, so that two instances in one database do not wake each other. */
export declare function channel(schema: string): string;
/**
 * LISTEN on a connection of its own. When it is lost it is opened again, with a growing pause, and the callback is
 * called after each time, because hints may have been missed meanwhile. Polling is the truth all the same.
 */
export declare function listen(connections: Connections, schema: string, onHint: () => void): Promise<() => Promise<void>>;
