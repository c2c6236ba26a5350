import { DataSource, type EntityManager, EntitySchema } from "typeorm";
import { typeormTx } from "../../src/orm/typeorm.ts";
import { COLUMNS, type Orm, ormConformance, type Row, SAMPLE } from "../conformance/orm.ts";

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
  sample: SAMPLE,
});
