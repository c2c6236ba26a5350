import type { HandlerTransaction } from "../core/ports/handle.ts";
import { type HandedClient, HandedPool } from "./pool.ts";

/** The shape of an instance of Knex that is used. */
export interface KnexLike {
  readonly client: { config: { client?: unknown; dialect?: unknown } };
  readonly userParams?: Record<string, any>;
  withUserParams(params: Record<string, any>): KnexLike;
}

interface Client {
  acquireConnection(): Promise<HandedClient>;
  releaseConnection(client: HandedClient): Promise<void>;
  destroy(): Promise<void>;
}

/**
 * A handler's `tx` as your Knex: a copy of yours, its settings included, whose statements all go through `tx`. What is
 * written through it commits with the delivery, or not at all.
 *
 * `knex.transaction()` is a savepoint: what fails in it can be caught. Streams are refused. Throws NT_TX_HANDLE, NT_TX_ENDED.
 */
export function knexTx<Knex extends KnexLike>(tx: HandlerTransaction, knex: Knex): Knex {
  const pool = new HandedPool(tx);
  const copy = knex.withUserParams(knex.userParams ?? {}) as Knex;
  const own: Client = {
    acquireConnection: () => pool.connect(),
    releaseConnection(client) {
      client.release();
      return Promise.resolve();
    },
    destroy: () => Promise.resolve(),
  };
  Object.assign(copy.client, own, { canCancelQuery: false, pool: undefined });
  return copy;
}
