import type { HandlerTransaction } from "../core/ports/handle.ts";
import { HandedPool } from "./pool.ts";

/** The shape of a DataSource of TypeORM that is used. */
export interface DataSourceLike {
  readonly manager: object;
  createQueryRunner(): { readonly manager: object };
}

interface Runner {
  manager: { transaction(...words: unknown[]): Promise<unknown> };
  databaseConnection: unknown;
  isTransactionActive: boolean;
  transactionDepth: number;
  release(): Promise<void>;
  releaseCallback: unknown;
}

/**
 * A handler's `tx` as an EntityManager of your DataSource: what is written through it and its repositories commits with the
 * delivery, or not at all.
 *
 * `manager.transaction()` is a savepoint: what fails in it can be caught. Throws NT_TX_HANDLE, NT_TX_ENDED.
 */
export function typeormTx<Source extends DataSourceLike>(tx: HandlerTransaction, source: Source): Source["manager"] {
  const pool = new HandedPool(tx);
  const { manager, runner } = open(source, pool.query.bind(pool));
  // `save` and `remove` begin a transaction of their own unless they are in one.
  runner.isTransactionActive = true;
  runner.transactionDepth = 1;
  runner.release = () => Promise.resolve();
  // Each on a client of its own, so that two at the same time wait for each other instead of mixing their savepoints.
  manager.transaction = async (...words) => {
    const client = await pool.connect();
    try {
      return await open(source, client.query.bind(client)).manager.transaction(...words);
    } finally {
      client.release();
    }
  };
  return manager;
}

function open(source: DataSourceLike, query: unknown): { manager: Runner["manager"]; runner: Runner } {
  const runner = source.createQueryRunner() as unknown as Runner;
  runner.databaseConnection = { query, on: () => {}, removeListener: () => {} };
  return { manager: runner.manager, runner };
}
