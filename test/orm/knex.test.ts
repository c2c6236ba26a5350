import knex, { type Knex } from "knex";
import { knexTx } from "../../src/orm/knex.ts";
import { type Orm, ormConformance, type Row, SAMPLE } from "../conformance/orm.ts";

function orm(db: Knex): Orm {
  return {
    insert: (row) => db("orm_row").insert(row),
    read: (name) =>
      db<Row>("orm_row").select("name", "n", "big", "body", "raw", "at", "day", "tags", "amount").where({ name }),
    raw: (text) => db.raw(text),
    transaction: (work) => db.transaction((trx) => work(orm(trx))),
    stream: async () => {
      for await (const _ of db("orm_row").select("id").stream()) break;
    },
    outbox: db,
  };
}

ormConformance({
  name: "Knex",
  open(url) {
    const own = knex({ client: "pg", connection: url, pool: { min: 0, max: 2 } });
    return Promise.resolve({ own: orm(own), on: (tx) => orm(knexTx(tx, own)), close: () => own.destroy() });
  },
  sample: SAMPLE,
});
