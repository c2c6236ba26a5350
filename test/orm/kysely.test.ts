import { type Generated, Kysely, PostgresDialect, sql } from "kysely";
import pg from "pg";
import { kyselyTx } from "../../src/orm/kysely.ts";
import { type Orm, ormConformance, type Row, SAMPLE } from "../conformance/orm.ts";

interface Database {
  readonly orm_row: Row & { readonly id: Generated<number> };
}

function orm(db: Kysely<Database>): Orm {
  return {
    insert: (row) => db.insertInto("orm_row").values(row).execute(),
    read: (name) =>
      db
        .selectFrom("orm_row")
        .select(["name", "n", "big", "body", "raw", "at", "day", "tags", "amount"])
        .where("name", "=", name)
        .execute() as Promise<Row[]>,
    raw: (text) => sql.raw(text).execute(db),
    // Inside of one, Kysely has savepoints for what other libraries call a nested transaction.
    transaction: (work) => (db.isTransaction ? savepoint(db, work) : db.transaction().execute((trx) => work(orm(trx)))),
    stream: async () => {
      for await (const _ of db.selectFrom("orm_row").select("id").stream()) break;
    },
    outbox: db,
  };
}

async function savepoint(db: Kysely<Database>, work: (inner: Orm) => Promise<void>): Promise<void> {
  await sql`savepoint inner_one`.execute(db);
  try {
    await work(orm(db));
    await sql`release savepoint inner_one`.execute(db);
  } catch (error) {
    await sql`rollback to savepoint inner_one`.execute(db);
    throw error;
  }
}

ormConformance({
  name: "Kysely",
  open(url) {
    const own = new Kysely<Database>({
      dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: url, max: 2 }) }),
    });
    return Promise.resolve({ own: orm(own), on: (tx) => orm(kyselyTx<Database>(tx)), close: () => own.destroy() });
  },
  sample: SAMPLE,
});
