import type { DrizzleConfig } from "drizzle-orm";
import { drizzle, type NodePgDatabase } from "drizzle-orm/node-postgres";
import pg from "pg";
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
  const pool = new HandedPool(tx);
  // It gives each transaction a client of its own only where it sees a pool, which it tells by the class or by its name.
  const client = Object.create(pg.Pool.prototype, {
    connect: { value: () => pool.connect() },
    query: { value: (...words: unknown[]) => pool.query(...words) },
    end: { value: () => pool.end() },
  }) as pg.Pool;
  return drizzle({ ...config, client });
}
