import type { Logger } from "../core/ports/logger.ts";
import type { Store } from "../core/ports/store.ts";
import type { PoolLike } from "./driver.ts";
export interface OpenOptions {
    readonly schema: string;
    readonly logger: Logger;
    readonly preparedStatements?: boolean;
}
/**
 * Opens a store: on a pool that is given and stays its owner's, on a URL, or on the embedded server of a folder.
 * Throws NT_DRIVER_MISSING, NT_OPTION, and what startEmbedded throws.
 */
export declare function openStore(database: string | PoolLike, options: OpenOptions): Promise<Store>;
