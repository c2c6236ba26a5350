import { DataSource, type EntityManager, EntitySchema } from "typeorm";
import { typeormTx } from "../../src/orm/typeorm.ts";
import { type Orm, ormConformance, type Row } from "../conformance/orm.ts";

const entity = new EntitySchema<Row & { id: number }>({
  name: "Row",
  tableName: "orm_row",
  columns: {
    id: { type: "int", primary: true, generated: true },
    name: { type: "text" },
    n: { type: "int", nullable: true },
    big: { type: "bigint", nullable: true },
    body: { type: "jsonb", nullable: true },
    raw: { type: "bytea", nullable: true },
    at: { type: "timestamptz", nullable: true },
    day: { type: "date", nullable: true },
    tags: { type: "text", array: true, nullable: true },
    amount: { type: "numeric", nullable: true },
  },
});

const COLUMNS = {
  name: true,
  n: true,
  big: true,
  body: true,
  raw: true,
  at: true,
  day: true,
  tags: true,
  amount: true,
} as const;

function orm(manager: EntityManager): Orm {
  const rows = manager.getRepository(entity);
  return {
    insert: (row) => rows.save(rows.create(row)),
    read: (name) => rows.find({ where: { name }, select: COLUMNS }),
    raw: (text) => manager.query(text),
    transaction: (work) => manager.transaction((inner) => work(orm(inner))),
    stream: () => rows.createQueryBuilder().stream(),
    outbox: manager,
  };
}

ormConformance({
  name: "TypeORM",
  async open(url) {
    const source = await new DataSource({ type: "postgres", url, poolSize: 2, entities: [entity] }).initialize();
    return { own: orm(source.manager), on: (tx) => orm(typeormTx(tx, source)), close: () => source.destroy() };
  },
  sample: {
    name: "sample",
    n: 7,
    big: "9007199254740993",
    body: { quote: 'it\'s "quoted"', list: [1, null, "ü€"] },
    raw: Buffer.from([0, 255, 92, 39]),
    at: new Date("2026-11-23T10:20:30.456Z"),
    day: "2026-11-23",
    tags: ["a", 'b"c', "d,e", "null"],
    amount: "12345678901234567890.000000001",
  },
});
