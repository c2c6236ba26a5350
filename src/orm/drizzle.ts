import type { DrizzleConfig } from "drizzle-orm";
import { drizzle, type NodePgDatabase } from "drizzle-orm/node-postgres";
import type { HandlerTransaction } from "../core/ports/handle.ts";
import { HandedPool } from "./pool.ts";

/**
 * A handler's `tx` as a Drizzle database: what is written through it commits with the delivery, or not at all.
 * `config` is what your own `drizzle()` is given: `schema`, `casing`, `logger`.
 *
 * `db.transaction()` is a savepoint: what fails in it can be caught. Throws NT_TX_HANDLE, NT_TX_ENDED.
 */
export function drizzleTx<Schema extends Record<string, unknown> = Record<string, never>>(
  tx: HandlerTransaction,
  config: DrizzleConfig<Schema> = {},
): NodePgDatabase<Schema> {
  return drizzle({ ...config, client: new HandedPool(tx) as never });
}
