import { Kysely, type KyselyConfig, PostgresDialect } from "kysely";
import type { HandlerTransaction } from "../core/ports/handle.ts";
import { HandedPool } from "./pool.ts";

/**
 * A handler's `tx` as a Kysely database: what is written through it commits with the delivery, or not at all.
 * `config` is what your own `new Kysely()` is given besides the dialect: `plugins`, `log`.
 *
 * `db.transaction()` is a savepoint: what fails in it can be caught. Throws NT_TX_HANDLE, NT_TX_ENDED.
 */
export function kyselyTx<Database>(
  tx: HandlerTransaction,
  config: Omit<KyselyConfig, "dialect"> = {},
): Kysely<Database> {
  return new Kysely<Database>({ ...config, dialect: new PostgresDialect({ pool: new HandedPool(tx) as never }) });
}
