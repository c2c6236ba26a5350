import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ConsumerOptions, HandlerContext, OutboxTx, Tx } from "../../src/index.ts";
import { until } from "../support/database.ts";
import { testDatabase } from "../support/instance.ts";

/** A row as its library's models take it and give it back. */
export interface Row {
  readonly name: string;
  readonly n?: number | null;
  readonly big?: unknown;
  readonly body?: unknown;
  readonly raw?: unknown;
  readonly at?: unknown;
  readonly day?: unknown;
  readonly tags?: unknown;
  readonly amount?: unknown;
}

/** A library's handle, on its own pool or on a handler's `tx`. */
/** All that a row is asked for. */
export const COLUMNS = {
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

/** A row as most libraries hand it over. */
export const SAMPLE: Row = {
  name: "sample",
  n: 7,
  big: "9007199254740993",
  body: { quote: 'it\'s "quoted"', list: [1, null, "ü€"] },
  raw: Buffer.from([0, 255, 92, 39]),
  at: new Date("2026-11-23T10:20:30.456Z"),
  day: "2026-11-23",
  tags: ["a", 'b"c', "d,e", "null"],
  amount: "12345678901234567890.000000001",
};

export interface Orm {
  /** By the library's own models. */
  insert(row: Row): PromiseLike<unknown>;
  read(name: string): PromiseLike<Row[]>;
  /** SQL as it stands. */
  raw(text: string): PromiseLike<unknown>;
  transaction(work: (inner: Orm) => Promise<void>): PromiseLike<unknown>;
  /** Rows one by one, where the library can. */
  readonly stream?: () => PromiseLike<unknown>;
  /** What `nt.send(…, { tx })` is given. */
  readonly outbox: OutboxTx;
}

export interface OrmCase {
  readonly name: string;
  /** `own`: on a pool of the library's own. `on`: what a handler makes of its `tx`. */
  open(url: string): Promise<{ own: Orm; on(tx: Tx): Orm; close(): Promise<unknown> }>;
  /** As the library's models want it. */
  readonly sample: Row;
  /** Where a column of its models cannot be null. */
  readonly nothing?: Partial<Row>;
}

const TABLE = `create table orm_row (
  id serial primary key, name text not null, n int, big int8, body jsonb, raw bytea, at timestamptz, day date,
  tags text[], amount numeric, xact bigint not null default pg_current_xact_id()::text::bigint
)`;
const fast = { baseMs: 1, maxMs: 2, maxAttempts: 2 } as const;

/** What every library's handle promises. To add one: copy src/orm/kysely.ts and its case in test/orm/. */
export function ormConformance(one: OrmCase): void {
  describe(`${one.name}: the ORM conformance suite`, () => {
    const db = testDatabase();
    let opened: Awaited<ReturnType<OrmCase["open"]>>;
    let topics = 0;

    beforeAll(async () => {
      await db.rows(TABLE);
      await db.rows("create unique index on orm_row (n) where name like 'nest-%'");
      opened = await one.open(db.url);
    });
    afterAll(() => opened?.close());

    const names = async (like: string) =>
      (await db.rows<{ name: string }>("select name from orm_row where name like $1 order by name", [like])).map(
        (row) => row.name,
      );
    interface Ran {
      readonly outcome: string;
      readonly attempt: number;
      readonly reruns: number;
      readonly error: string | null;
    }
    /** Runs a handler over so many messages until all are settled; every attempt, in order. */
    async function run(
      handler: (orm: Orm, context: HandlerContext, i: number) => unknown,
      { count = 1, prepared = false, ...options }: { count?: number; prepared?: boolean } & ConsumerOptions = {},
    ): Promise<Ran[]> {
      const nt = db.open({ preparedStatements: prepared });
      const topic = `orm.${++topics}`;
      nt.on(topic, { retry: fast, ...options }, (i: number, context) => handler(opened.on(context.tx), context, i));
      await nt.sendMany(Array.from({ length: count }, (_, i) => ({ topic, payload: i })));
      await nt.start();
      const of = "from nevertwice.delivery d join nevertwice.message m on m.id = d.message_id where m.topic = $1";
      await until(`${topic} settled`, async () => (await db.rows(`select ${of}`, [topic])).length === 0, 60_000);
      await nt.stop();
      return db.rows<Ran>(
        `select a.outcome, a.attempt, a.reruns, a.error from nevertwice.attempt a
         join nevertwice.message m on m.id = a.message_id where m.topic = $1 order by a.ended_at`,
        [topic],
      );
    }
    const outcomes = (ran: readonly Ran[]) => ran.map((each) => each.outcome);

    test("what its models write commits with the delivery, and what is sent beside it", async () => {
      const nt = db.open();
      const heard: unknown[] = [];
      nt.on("orm.heard", (event) => void heard.push(event));
      await nt.start();
      const ran = await run(async (orm, { send, tx }) => {
        await orm.insert({ name: "commit-1" });
        await send("orm.heard", "beside");
        await tx.query("insert into orm_row (name) values ('commit-2')");
        expect((await orm.read("commit-1")).map((row) => row.name)).toEqual(["commit-1"]);
        expect(await names("commit-%")).toEqual([]);
      });
      expect(outcomes(ran)).toEqual(["completed"]);
      expect(await names("commit-%")).toEqual(["commit-1", "commit-2"]);
      const [row] = await db.rows("select count(distinct xact)::int as n from orm_row where name like 'commit-%'");
      expect(row?.["n"]).toBe(1);
      await until("it is heard", () => heard.length === 1);
    });

    test("a handler that fails takes it back; the next attempt and copies of the message write it once", async () => {
      const ran = await run(async (orm, { attempt }) => {
        await orm.insert({ name: "back" });
        if (attempt === 1) throw new Error("not this time");
      });
      expect(outcomes(ran)).toEqual(["retry", "completed"]);
      const nt = db.open();
      nt.on("orm.copies", (_, { tx }) => opened.on(tx).insert({ name: "back" }));
      await nt.start();
      for (let i = 0; i < 3; i++) await nt.send("orm.copies", 1, { key: "one" });
      await until("it ran", async () => (await names("back")).length === 2);
      await nt.stop();
      expect(await names("back")).toEqual(["back", "back"]);
    });

    test("a transaction that it did not begin cannot be ended, not even if the refusal is swallowed", async () => {
      for (const text of [
        "commit",
        "/* now */ rollback;",
        "BEGIN",
        "savepoint mine",
        "release savepoint nt_nested_1",
        "commit and chain",
        "prepare transaction 'x'",
        "set transaction read only",
        "start transaction isolation level serializable",
      ]) {
        const ran = await run(async (orm) => {
          await orm.insert({ name: "ended" });
          await Promise.resolve(orm.raw(text)).catch(() => {});
          await orm.insert({ name: "ended" });
        });
        expect.soft(outcomes(ran), text).toEqual(["dead"]);
        expect.soft(ran[0]?.error, text).toContain("NT_TX_CONTROL");
      }
      const two = await run((orm) => orm.raw("select 1; commit"));
      expect(two.at(-1)?.error).toContain("multiple commands");
      const inside = await run(async (orm) => {
        await orm.transaction(async (inner) => {
          await inner.insert({ name: "ended" });
          await Promise.resolve(inner.raw("rollback to elsewhere")).catch(() => {});
        });
      });
      expect(inside[0]?.error).toContain("NT_TX_CONTROL");
      expect(await names("ended")).toEqual([]);
    });

    test("a forgotten await fails the attempt, and so does an error that was swallowed", async () => {
      const forgot = await run(async (orm, { attempt }) => {
        if (attempt > 1) return;
        await orm.insert({ name: "forgot" });
        void Promise.resolve(orm.insert({ name: "forgot" })).catch(() => {});
      });
      expect(outcomes(forgot)).toEqual(["retry", "completed"]);
      expect(forgot[0]?.error).toContain("NT_TX_PENDING");
      // Its very first call: nothing has come to the driver yet when the handler returns.
      const first = await run((orm, { attempt }) => {
        if (attempt === 1) void Promise.resolve(orm.insert({ name: "forgot" })).catch(() => {});
      });
      expect(outcomes(first)).toEqual(["retry", "completed"]);
      expect(first[0]?.error).toContain("NT_TX_PENDING");
      const swallowed = await run(async (orm, { attempt }) => {
        await orm.insert({ name: "forgot" });
        if (attempt === 1) await Promise.resolve(orm.raw("select 1 / 0")).catch(() => {});
        else throw new Error("again");
      });
      expect(swallowed[0]?.error).toContain("NT_TX_ABORTED");
      expect(await names("forgot")).toEqual([]);
    });

    test("queries at the same time run one after another", async () => {
      const ran = await run(async (orm) => {
        await Promise.all(Array.from({ length: 20 }, (_, i) => orm.insert({ name: `parallel-${i}` })));
        expect((await Promise.all([orm.read("parallel-3"), orm.read("parallel-4")])).flat()).toHaveLength(2);
      });
      expect(outcomes(ran)).toEqual(["completed"]);
      expect(await names("parallel-%")).toHaveLength(20);
    });

    test("values come and go as on its own pool", async () => {
      const nothing = { ...one.sample, n: null, big: null, body: null, raw: null, at: null, day: null, tags: null };
      const samples = [one.sample, { ...nothing, ...one.nothing }];
      for (const [i, sample] of samples.entries()) {
        await opened.own.insert({ ...sample, name: `own-${i}` });
        const [own] = await opened.own.read(`own-${i}`);
        let got: Row | undefined;
        const ran = await run(
          async (orm) => {
            await orm.insert({ ...sample, name: `handed-${i}` });
            [got] = await orm.read(`own-${i}`);
          },
          { prepared: i > 0 },
        );
        expect(ran[0]?.error).toBeNull();
        expect(got).toEqual(own);
        const [wrote] = await opened.own.read(`handed-${i}`);
        expect({ ...wrote, name: "" }).toEqual({ ...own, name: "" });
      }
    });

    describe("nested transactions", () => {
      test("commit with the delivery; what fails in one can be caught, and is undone alone", async () => {
        const ran = await run(async (orm) => {
          await orm.insert({ name: "nest-1", n: 1 });
          await orm.transaction((inner) => Promise.resolve(inner.insert({ name: "nest-2", n: 2 })).then(() => {}));
          const clash = orm.transaction(async (inner) => {
            await inner.insert({ name: "nest-lost", n: 3 });
            await inner.insert({ name: "nest-lost", n: 1 });
          });
          await expect(Promise.resolve(clash)).rejects.toThrow();
          await orm.transaction(async (inner) => {
            await inner.insert({ name: "nest-3", n: 3 });
            const deep = inner.transaction(async (deepest) => {
              await deepest.insert({ name: "nest-lost", n: 4 });
              throw new Error("taken back");
            });
            await expect(Promise.resolve(deep)).rejects.toThrow("taken back");
            await inner.insert({ name: "nest-4", n: 4 });
          });
        });
        expect(ran[0]?.error).toBeNull();
        expect(outcomes(ran)).toEqual(["completed"]);
        expect(await names("nest-%")).toEqual(["nest-1", "nest-2", "nest-3", "nest-4"]);
      });

      test("an error that was swallowed inside one undoes it, and is told", async () => {
        const ran = await run(async (orm) => {
          await orm.insert({ name: "swallow-1" });
          const nested = orm.transaction(async (inner) => {
            await inner.insert({ name: "swallow-2" });
            await Promise.resolve(inner.raw("select 1 / 0")).catch(() => {});
          });
          expect(told(await Promise.resolve(nested).catch((error: unknown) => error))).toContain("NT_TX_ABORTED");
          await orm.insert({ name: "swallow-3" });
        });
        expect(ran[0]?.error).toBeNull();
        expect(await names("swallow-%")).toEqual(["swallow-1", "swallow-3"]);
      });

      // On one wire, the rollback of one would have taken the other's rows with it.
      test("at the same time they take turns, and what runs beside them is not undone with them", async () => {
        const ran = await run(async (orm) => {
          const pause = () => new Promise((resolve) => setTimeout(resolve, 30));
          const nested = (name: string, fails: boolean) =>
            Promise.resolve(
              orm.transaction(async (inner) => {
                await inner.insert({ name });
                await pause();
                await inner.insert({ name });
                if (fails) throw new Error("taken back");
              }),
            ).catch(() => {});
          const all = [nested("turns-lost", true), nested("turns-kept", false), nested("turns-lost", true)];
          await pause();
          await Promise.all([...all, orm.insert({ name: "turns-beside" })]);
        });
        expect(outcomes(ran)).toEqual(["completed"]);
        expect(await names("turns-%")).toEqual(["turns-beside", "turns-kept", "turns-kept"]);
      });

      test("one that waits for the outer handle is told, and one that is left open fails the attempt", async () => {
        const stuck = await run(async (orm, { attempt }) => {
          if (attempt > 1) return;
          await orm.transaction(async (inner) => {
            await inner.insert({ name: "stuck" });
            await orm.insert({ name: "stuck" });
          });
        });
        expect(outcomes(stuck)).toEqual(["retry", "completed"]);
        expect(stuck[0]?.error).toContain("NT_TX_NESTED");
        const left = await run(async (orm, { attempt }) => {
          if (attempt > 1) return;
          await new Promise<void>((resolve) => {
            void Promise.resolve(
              orm.transaction(async (inner) => {
                await inner.insert({ name: "stuck" });
                resolve();
                await new Promise((later) => setTimeout(later, 100));
              }),
            ).catch(() => {});
          });
        });
        expect(outcomes(left)).toEqual(["retry", "completed"]);
        expect(left[0]?.error).toContain("NT_TX_PENDING");
        expect(await names("stuck")).toEqual([]);
      });
    });

    test("after its handler it is of no use to anybody", async () => {
      let kept: Orm | undefined;
      await run(async (orm) => {
        kept = orm;
        await orm.insert({ name: "kept" });
      });
      const error: unknown = await Promise.resolve(kept?.insert({ name: "kept" })).catch((caught: unknown) => caught);
      expect(told(error)).toContain("NT_TX_ENDED");
      expect(await names("kept")).toEqual(["kept"]);
      const nt = db.open();
      await nt.ready();
      expect(() => opened.on(db.pool)).toThrow("NT_TX_HANDLE");
    });

    test("the outbox takes it too", async () => {
      const nt = db.open();
      const heard: unknown[] = [];
      nt.on("orm.outbox", (event) => void heard.push(event));
      await nt.start();
      const ran = await run(async (orm, { attempt }) => {
        await nt.send("orm.outbox", attempt, { tx: orm.outbox });
        if (attempt === 1) throw new Error("taken back");
      });
      expect(outcomes(ran)).toEqual(["retry", "completed"]);
      await until("it is heard", () => heard.length > 0);
      expect(heard).toEqual([2]);
    });

    const transactions = async (like: string) =>
      (await db.rows("select distinct xact from orm_row where name like $1", [like])).length;

    test("each delivery has a transaction of its own, and none runs twice for it", async () => {
      const ran = await run((orm) => orm.insert({ name: "alone" }), { count: 40 });
      expect(outcomes(ran)).toEqual(Array.from({ length: 40 }, () => "completed"));
      expect(await transactions("alone")).toBe(40);
      expect(ran.map((each) => each.reruns)).toEqual(Array.from({ length: 40 }, () => 0));
    });

    test("handed over in the middle of a group, it runs again alone, and is remembered", async () => {
      const nt = db.open();
      nt.on("orm.middle", { concurrency: 20 }, async (_, { tx }) => {
        await tx.query("insert into orm_row (name) values ('middle')");
        await opened.on(tx).insert({ name: "middle" });
      });
      await nt.sendMany(Array.from({ length: 100 }, () => ({ topic: "orm.middle", payload: 1 })));
      await nt.start();
      await until("all are there", async () => (await names("middle")).length === 200);
      expect(await transactions("middle")).toBe(100);
      const [rerun] = await db.rows(
        `select count(*)::int as n from nevertwice.attempt a join nevertwice.message m on m.id = a.message_id
         where m.topic = 'orm.middle' and a.reruns > 0`,
      );
      // Those that stood in the groups under way when the first one was found out, at most.
      expect(rerun?.["n"]).toBeGreaterThan(0);
      expect(rerun?.["n"]).toBeLessThan(60);
      await nt.stop();
    });

    test("group: true shares transactions; a nested one runs again alone", async () => {
      // On a machine that stands still a consumer leaves the groups for a while: then another round tells.
      for (let rounds = 1, shared = false; !shared; rounds++) {
        const ran = await run((orm) => orm.insert({ name: "shared" }), { count: 200, concurrency: 100, group: true });
        expect(outcomes(ran)).toEqual(Array.from({ length: 200 }, () => "completed"));
        expect(await names("shared")).toHaveLength(200 * rounds);
        shared = (await transactions("shared")) <= 200 * rounds - 100;
        expect(rounds).toBeLessThan(10);
      }
      const nested = await run(
        async (orm, _, i) => {
          await orm.insert({ name: `nested-${i}` });
          await orm.transaction((inner) => Promise.resolve(inner.insert({ name: `nested-${i}` })).then(() => {}));
        },
        { count: 10, group: true },
      );
      expect(outcomes(nested)).toEqual(Array.from({ length: 10 }, () => "completed"));
      expect(await transactions("nested-%")).toBe(10);
      expect(await names("nested-%")).toHaveLength(20);
    });

    test("rows one by one are refused, where the library has them", async () => {
      const ran = await run((orm) => orm.stream?.(), { retry: { maxAttempts: 1 } });
      expect(outcomes(ran)).toEqual([opened.own.stream === undefined ? "completed" : "dead"]);
    });
  });
}

/** What an error says, and what it says of its cause. */
function told(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return `${error.message} ${error.cause === undefined ? "" : told(error.cause)}`;
}
