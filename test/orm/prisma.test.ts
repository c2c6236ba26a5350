import { beforeAll, describe, expect, test } from "vitest";
import type { Tx } from "../../src/index.ts";
import { prismaTx } from "../../src/orm/prisma.ts";
import { COLUMNS, type Orm, ormConformance } from "../conformance/orm.ts";
import { until } from "../support/database.ts";
import { testDatabase } from "../support/instance.ts";
import { withPrisma } from "../support/parts.ts";
import { prisma } from "../support/prisma.ts";

const library = async () => {
  const { PrismaClient, PrismaPg, ...rest } = await prisma();
  return { ...rest, on: (tx: Tx) => prismaTx(tx, PrismaPg, (adapter) => new PrismaClient({ adapter })) };
};

withPrisma("Prisma", () => {
  ormConformance({
    name: "Prisma",
    async open(url) {
      const { Prisma, open, on } = await library();
      const orm = (db: any): Orm => ({
        insert: (row) => db.row.create({ data: row.body === null ? { ...row, body: Prisma.DbNull } : row }),
        read: (name) => db.row.findMany({ where: { name }, select: COLUMNS }),
        raw: (text) => db.$executeRawUnsafe(text),
        transaction: (work) => db.$transaction((inner: any) => work(orm(inner)), { timeout: 20_000, maxWait: 20_000 }),
        outbox: db,
      });
      const client = open(url);
      return { own: orm(client), on: (tx) => orm(on(tx)), close: () => client.$disconnect() };
    },
    sample: {
      name: "sample",
      n: 7,
      big: 9_007_199_254_740_993n,
      body: { quote: 'it\'s "quoted"', list: [1, null, "ü€"] },
      raw: new Uint8Array([0, 255, 92, 39]),
      at: new Date("2026-11-23T10:20:30.456Z"),
      day: new Date("2026-11-23"),
      tags: ["a", 'b"c', "d,e", "null"],
      amount: "12345678901234567890.000000001",
    },
    nothing: { tags: [] },
  });

  describe("Prisma's own transactions", () => {
    const db = testDatabase();
    beforeAll(async () => {
      await db.rows("create table orm_row (id serial primary key, name text, n int, big int8, body jsonb, raw bytea)");
      await db.rows("alter table orm_row add at timestamptz, add day date, add tags text[], add amount numeric");
      await db.rows("create table orm_note (id serial primary key, text text unique, row_id int references orm_row)");
    });

    // Prisma begins one by itself for rows that are written together.
    test("rows written together, at the same time: each whole, and one that fails is undone whole", async () => {
      const { on } = await library();
      const nt = db.open();
      const errors: unknown[] = [];
      nt.on("together", async (_, { tx }) => {
        const client = on(tx);
        const create = (name: string, ...notes: string[]) =>
          client.row.create({ data: { name, notes: { create: notes.map((text) => ({ text })) } } });
        await Promise.all(Array.from({ length: 5 }, (__, i) => create(`row-${i}`, `a-${i}`, `b-${i}`)));
        await create("row-lost", "c", "a-1").catch((error: unknown) => errors.push(error));
        const both = [client.row.create({ data: { name: "row-5" } }), client.note.count()];
        expect((await client.$transaction(both))[1]).toBe(10);
      });
      await nt.send("together", 1);
      await nt.start();
      await until("it is there", async () => (await db.rows("select from orm_row")).length > 0);
      expect((errors[0] as { code: string }).code).toBe("P2002");
      const rows = await db.rows("select name from orm_row order by name");
      expect(rows.map((row) => row["name"])).toEqual(["row-0", "row-1", "row-2", "row-3", "row-4", "row-5"]);
      expect(await db.rows("select from orm_note")).toHaveLength(10);
    });
  });
});
