import { eq, sql } from "drizzle-orm";
import { drizzle, type NodePgDatabase } from "drizzle-orm/node-postgres";
import {
  bigint,
  customType,
  date,
  integer,
  jsonb,
  numeric,
  pgTable,
  serial,
  text,
  timestamp,
} from "drizzle-orm/pg-core";
import pg from "pg";
import { drizzleTx } from "../../src/orm/drizzle.ts";
import { COLUMNS, type Orm, ormConformance } from "../conformance/orm.ts";

const bytes = customType<{ data: Buffer }>({ dataType: () => "bytea" });
const row = pgTable("orm_row", {
  id: serial().primaryKey(),
  name: text().notNull(),
  n: integer().unique(),
  big: bigint({ mode: "bigint" }),
  body: jsonb(),
  raw: bytes(),
  // As text, to the microsecond: the driver is to leave it alone.
  at: timestamp({ withTimezone: true, mode: "string" }),
  day: date(),
  tags: text().array(),
  amount: numeric(),
});
const schema = { row };

function orm(db: NodePgDatabase<typeof schema>): Orm {
  return {
    insert: (one) => db.insert(row).values(one as typeof row.$inferInsert),
    read: (name) => db.query.row.findMany({ where: eq(row.name, name), columns: COLUMNS }),
    raw: (text_) => db.execute(sql.raw(text_)),
    transaction: (work) => db.transaction((inner) => work(orm(inner))),
    outbox: db,
  };
}

ormConformance({
  name: "Drizzle",
  async open(url) {
    const pool = new pg.Pool({ connectionString: url, max: 2 });
    return {
      own: orm(drizzle({ client: pool, schema })),
      on: (tx) => orm(drizzleTx(tx, { schema })),
      close: () => pool.end(),
    };
  },
  sample: {
    name: "sample",
    n: 7,
    big: 9_007_199_254_740_993n,
    body: { quote: 'it\'s "quoted"', list: [1, null, "ü€"] },
    raw: Buffer.from([0, 255, 92, 39]),
    at: "2026-11-23 10:20:30.456789+00",
    day: "2026-11-23",
    tags: ["a", 'b"c', "d,e", "null"],
    amount: "12345678901234567890.000000001",
  },
});
