/**
 * A transaction that the caller has begun, as their library hands it over. Only the way in for SQL is looked at.
 *
 * | library | what is handed over |
 * |---|---|
 * | pg, TypeORM | a client in a transaction, an EntityManager or a QueryRunner: `query(text, values)` |
 * | postgres.js | the `sql` of `sql.begin(sql => …)`: `unsafe(text, values)` |
 * | Kysely | the `trx` of `transaction().execute(trx => …)`: `executeQuery(…)` |
 * | Knex | the `trx` of `knex.transaction(trx => …)`: `raw(text, bindings)` |
 * | Prisma | the client of `$transaction(tx => …)`: `$queryRawUnsafe(text, ...values)` |
 * | Drizzle | the `tx` of `db.transaction(tx => …)`: `execute(text)` |
 */
export type OutboxTx =
  | { $queryRawUnsafe(text: string, ...values: any[]): PromiseLike<unknown> }
  | { query(text: string, values: any[]): PromiseLike<unknown> }
  | { unsafe(text: string, values: any[]): PromiseLike<unknown> }
  | { executeQuery(query: any): PromiseLike<unknown> }
  | { raw(text: string, bindings: any): PromiseLike<unknown> }
  | { execute(text: any): PromiseLike<unknown> };
