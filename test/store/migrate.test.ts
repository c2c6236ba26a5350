import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import pg from "pg";
import { describe, expect, test } from "vitest";
import { lowestId, uuidv7 } from "../../src/core/id.ts";
import { migrations } from "../../src/store/migrate.ts";
import { openStore } from "../../src/store/open.ts";
import { confirmTimeline, listTimelines } from "../../src/store/read/timeline.ts";
import { freshDatabase, until } from "../support/database.ts";
import { testDatabase } from "../support/instance.ts";
import { keepingLogger } from "../support/logger.ts";

const db = testDatabase();
const open = (schema: string) => openStore(db.url, { schema, logger: keepingLogger() });

describe("migrations", () => {
  test("ten processes that start at once do it once", async () => {
    const script = `
      import { openStore } from "./src/store/open.ts";
      const quiet = { debug() {}, info() {}, warn() {}, error() {} };
      const store = await openStore(process.argv[1], { schema: "together", logger: quiet });
      await store.migrate("auto");
      await store.close();`;
    const codes = await Promise.all(
      Array.from({ length: 10 }, () => {
        const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", script, db.url], {
          stdio: "inherit",
        });
        return new Promise((resolve) => child.once("exit", resolve));
      }),
    );
    expect(codes).toEqual(Array(10).fill(0));
    const all = (await migrations("together")).map(({ number, name }) => ({ number, name }));
    expect(all.map(({ number }) => number)).toEqual(all.map((_, i) => i + 1));
    expect(await db.rows("select number, name from together.migration order by number")).toEqual(all);
  });

  test("check refuses what is missing", async () => {
    const store = await open("missing");
    await expect(store.migrate("check")).rejects.toThrow("NT_SCHEMA_MISSING");
    await store.migrate("auto");
    await store.migrate("check");
    await store.close();
  });

  // Old and new code run side by side during a deploy: an old process that was restarted after the migration refused to start.
  test("a version works on a newer schema, unless a migration says that it cannot", async () => {
    const logger = keepingLogger();
    const store = await openStore(db.url, { schema: "newer", logger });
    await store.migrate("auto");
    const newest = (await migrations("newer")).length;
    const future = (number: number, name: string) =>
      db.pool.query("insert into newer.migration (number, name) values ($1, $2)", [number, name]);
    const since = (number: number) => `from_${String(number).padStart(4, "0")}`;
    await future(9_000, "of_the_future");
    await future(9_001, `also_${since(newest)}`);
    await store.migrate("auto");
    await store.migrate("check");
    expect(logger.lines.map(({ event }) => event)).toEqual(Array(2).fill(expect.stringContaining("works on it")));
    await future(9_002, `without_us_${since(newest + 1)}`);
    await expect(store.migrate("auto")).rejects.toThrow(/NT_SCHEMA_NEWER.*9002 without_us/);
    await expect(store.migrate("check")).rejects.toThrow("NT_SCHEMA_NEWER");
    await store.close();
  });

  test("a database that was there before is on a timeline that counts as confirmed; a copy of it is not", async () => {
    const older = (await migrations("older")).filter((one) => one.number < 3);
    for (const { number, name, text } of older) {
      await db.pool.query(text);
      await db.pool.query("insert into older.migration (number, name) values ($1, $2)", [number, name]);
    }
    const store = await open("older");
    await store.migrate("auto");
    const unconfirmed = async () => (await listTimelines(store)).filter((one) => one.confirmed_at === null);
    expect(await listTimelines(store)).toMatchObject([{ current: true, note: "found by the migration" }]);
    expect(await unconfirmed()).toEqual([]);
    // As a dump that was loaded over it: tables and functions are made anew, the rows are the same.
    const [{ source }] = (await db.rows(
      "select pg_get_functiondef('older.current_timeline()'::regprocedure) as source",
    )) as [{ source: string }];
    await db.pool.query("drop function older.current_timeline()");
    await db.pool.query("alter table older.timeline rename to before");
    await db.pool.query("create table older.timeline (like older.before including all)");
    await db.pool.query("insert into older.timeline select * from older.before");
    await db.pool.query(source);
    expect(await unconfirmed()).toMatchObject([{ current: true, seen_at: null }]);
    expect(await confirmTimeline(store, "copied")).toMatchObject({ current: true, note: "copied" });
    expect(await confirmTimeline(store, "again")).toMatchObject({ current: true, note: "copied" });
    expect(await unconfirmed()).toEqual([]);
    await store.close();
  });

  // It waited in front of everybody for the longest transaction there was: nothing was accepted for as long as a handler ran.
  test("one that waits for a table lets others through", async () => {
    for (const { number, name, text } of (await migrations("waits")).slice(0, 3)) {
      await db.pool.query(text);
      await db.pool.query("insert into waits.migration (number, name) values ($1, $2)", [number, name]);
    }
    const handler = await db.pool.connect();
    await handler.query("begin; select from waits.delivery");
    const store = await open("waits");
    const migrating = store.migrate("auto");
    const waiting = `select from pg_stat_activity where wait_event_type = 'Lock' and query like '%"waits".delivery%'`;
    await until("it waits", async () => (await db.rows(waiting)).length > 0);
    // Behind it in the queue; the handler is open all the time.
    await db.pool.query(
      "insert into waits.delivery (id, message_id, consumer_id, due_at) values (gen_random_uuid(), gen_random_uuid(), 1, now())",
    );
    await handler.query("commit");
    handler.release();
    await migrating;
    await store.migrate("check");
    await store.close();
  });

  test("any schema name works, and two instances in one database do not see each other", async () => {
    const strange = "Ünd \"quoted\" 'x' $1 nevertwice.";
    const nt = db.open({ schema: strange });
    let ran = 0;
    nt.on("t", () => void ran++);
    await nt.start();
    const other = db.open({ schema: "other" });
    await other.send("t", {});
    await nt.send("t", {});
    await until("it ran", () => ran > 0);
    await nt.stop();
    expect(ran).toBe(1);
    const [row] = await db.rows<{ n: number }>("select count(*)::int as n from other.message");
    expect(row?.n).toBe(1);
  });

  test("each runs under a plain client as it stands, comments and all", async () => {
    const { url, drop } = await freshDatabase();
    const client = new pg.Client(url);
    await client.connect();
    for (const { number, name, text } of await migrations("nevertwice")) {
      const file = `src/store/migrations/${String(number).padStart(4, "0")}_${name}.sql`;
      await client.query(await readFile(file, "utf8"));
      expect(text).toContain('"nevertwice".');
    }
    await client.end();
    await drop();
  });

  test("constructing does no I/O; without a database the error names the choices", async () => {
    const nt = db.open({ database: undefined });
    await expect(nt.ready()).rejects.toThrow(/NT_DATABASE_MISSING.*embedded/);
    await expect(db.open({ database: "mysql://x" }).ready()).rejects.toThrow(/NT_OPTION.*postgres:/);
  });

  test("in production the tables are checked, not made", async () => {
    const before = process.env["NODE_ENV"];
    process.env["NODE_ENV"] = "production";
    try {
      await expect(db.open({ schema: "prod" }).ready()).rejects.toThrow(/NT_SCHEMA_MISSING.*nevertwice migrate/);
    } finally {
      process.env["NODE_ENV"] = before;
    }
  });
});

describe("housekeeping", () => {
  test("makes partitions ahead, drops old ones whole, and keeps what is outstanding or dead", async () => {
    const store = await open("tidy");
    await store.migrate("auto");
    const weeks = async () =>
      (
        await db.rows<{ relname: string }>(
          "select relname from pg_class c join pg_namespace n on n.oid = relnamespace where nspname = 'tidy' and relname ~ '^message_[0-9]'",
        )
      ).map((row) => row.relname);
    expect((await weeks()).length).toBeGreaterThanOrEqual(4);
    const from = "20251016";
    const fromMs = Date.UTC(2025, 9, 16);
    const [old, owed] = [uuidv7(fromMs + 1_000, new Uint8Array(10)), uuidv7(fromMs + 2_000, new Uint8Array(10))];
    for (const table of ["message", "attempt", "step", "duplicate"]) {
      await db.pool.query(
        `create table tidy.${table}_${from} partition of tidy.${table}
         for values from ('${lowestId(fromMs)}') to ('${lowestId(fromMs + 7 * 86_400_000)}')`,
      );
    }
    const message = (id: string) =>
      db.pool.query(`insert into tidy.message values ($1::uuid, '', 's', $1::uuid::text, 't', now(), null, '{}', '')`, [
        id,
      ]);
    await message(old);
    await message(owed);
    await db.pool.query("insert into tidy.ledger select gen_random_uuid(), gen_random_uuid(), id from tidy.message");
    await db.pool.query("insert into tidy.consumer (name, source, topic, topic_like) values ('c', 's', '*', '%')");
    await db.pool.query(
      "insert into tidy.delivery (id, message_id, consumer_id, due_at) select tidy.replay_delivery_id($1), $1, 1, now()",
      [owed],
    );
    await store.tidy({ dedupeDays: 45, retainDays: 45 });
    expect(await weeks()).toContain(`message_${from}`);
    const keys = () => db.rows<{ message_id: string }>("select message_id from tidy.ledger");
    // A key is not pruned while its message has an outstanding delivery.
    expect(await keys()).toEqual([{ message_id: owed }]);
    await db.pool.query("delete from tidy.delivery");
    await store.tidy({ dedupeDays: 45, retainDays: 45 });
    expect(await keys()).toEqual([]);
    expect(await weeks()).not.toContain(`message_${from}`);
    expect((await weeks()).length).toBeGreaterThanOrEqual(4);
    await store.close();
  });

  // One message from a process whose clock was weeks ahead stood in the way of its week's partition for ever: no further one was
  // made, and nothing was pruned any more.
  test("gives what came before its week's partitions its place in them", async () => {
    const store = await open("strays");
    await store.migrate("auto");
    const [newest] = (
      await db.rows<{ week: string }>(
        `select right(relname, 8) as week from pg_class c join pg_namespace n on n.oid = relnamespace
         where nspname = 'strays' and relname ~ '^message_[0-9]{8}$' order by relname desc limit 1`,
      )
    ).map((row) => row.week);
    const at = Date.UTC(Number(newest?.slice(0, 4)), Number(newest?.slice(4, 6)) - 1, Number(newest?.slice(6)));
    const tables = ["message", "attempt", "step", "duplicate", "note"];
    await db.pool.query(`drop table ${tables.map((table) => `strays.${table}_${newest}`).join(", ")}`);
    const ahead = uuidv7(at + 1_000, new Uint8Array(10));
    const add = (id: string): Promise<unknown> =>
      Promise.all([
        db.pool.query("insert into strays.message values ($1::uuid, '', 's', $2, 't', now(), null, '{}', '')", [
          id,
          id,
        ]),
        db.pool.query(
          `insert into strays.attempt (message_id, delivery_id, consumer_id, attempt, outcome, ended_at)
           values ($1, gen_random_uuid(), 1, 1, 'completed', now())`,
          [id],
        ),
      ]);
    await add(ahead);
    const places = (table: string, id: string) =>
      db.rows<{ place: string }>(`select tableoid::regclass::text as place from strays.${table} where ${id} = $1`, [
        ahead,
      ]);
    expect(await places("message", "id")).toEqual([{ place: "strays.message_other" }]);
    await store.tidy({ dedupeDays: 45, retainDays: 45 });
    expect(await places("message", "id")).toEqual([{ place: `strays.message_${newest}` }]);
    expect(await places("attempt", "message_id")).toEqual([{ place: `strays.attempt_${newest}` }]);

    // Who reads holds the parent and goes on to its partitions: whoever had the last one and waited for the parent would stand in
    // a circle with them.
    await db.pool.query(`drop table ${tables.map((table) => `strays.${table}_${newest}`).join(", ")}`);
    await add(uuidv7(at + 2_000, new Uint8Array(10)));
    const reader = await db.pool.connect();
    await reader.query("begin; lock table only strays.message in access share mode");
    const tidying = store.tidy({ dedupeDays: 45, retainDays: 45 }).catch((error: unknown) => error);
    await reader.query("select pg_sleep(0.1)");
    await reader.query("set local lock_timeout = 1; select from strays.message_other limit 1");
    expect(await tidying).toMatchObject({ code: "55P03" });
    await reader.query("commit");
    reader.release();
    await store.tidy({ dedupeDays: 45, retainDays: 45 });

    // Too many to move at once stay where they are, and stand in nobody's way.
    await db.pool.query(`drop table ${tables.map((table) => `strays.${table}_${newest}`).join(", ")}`);
    await db.pool.query(
      `insert into strays.attempt (message_id, delivery_id, consumer_id, attempt, outcome, ended_at)
       select $1, gen_random_uuid(), 1, 1, 'completed', now() from generate_series(1, 10001)`,
      [ahead],
    );
    await store.tidy({ dedupeDays: 45, retainDays: 45 });
    expect((await places("attempt", "message_id"))[0]).toEqual({ place: "strays.attempt_other" });
    await store.close();
  });

  // Two processes start on an empty database. One makes the partitions; the other does not wait for that, and is at work already.
  test("a row that is committed after its week was looked at goes to its partition all the same", async () => {
    const store = await open("late");
    await store.migrate("auto");
    const [newest] = await db.rows<{ name: string }>(
      "select relname as name from pg_class where relname ~ '^attempt_[0-9]{8}$' and relnamespace = 'late'::regnamespace order by 1 desc limit 1",
    );
    const week = newest?.name.slice(8) ?? "";
    const at = Date.UTC(Number(week.slice(0, 4)), Number(week.slice(4, 6)) - 1, Number(week.slice(6)));
    const writer = await db.pool.connect();
    // Again where the machine was so slow that housekeeping left it to the next call, which is its right.
    let outcome: unknown;
    for (let tries = 0; tries < 10 && outcome !== "tidied"; tries++) {
      if (tries > 0) expect(outcome).toMatchObject({ code: "55P03" });
      await db.pool.query(`drop table if exists late.attempt_${week}; truncate late.attempt_other`);
      await writer.query("begin");
      await writer.query(
        `insert into late.attempt (message_id, delivery_id, consumer_id, attempt, outcome, ended_at)
         values ($1, gen_random_uuid(), 1, 1, 'completed', now())`,
        [uuidv7(at + 1_000, new Uint8Array(10))],
      );
      let waits = true;
      const tidying = store.tidy({ dedupeDays: 45, retainDays: 45 }).then(
        () => "tidied",
        (error: unknown) => error,
      );
      void tidying.then(() => (waits = false));
      await until("it waits for the writer, or has given up", async () => {
        const blocked = await db.rows(
          "select from pg_stat_activity where query like 'create table%late%attempt%' and wait_event_type = 'Lock'",
        );
        return blocked.length > 0 || !waits;
      });
      await writer.query("commit");
      outcome = await tidying;
    }
    expect(outcome).toBe("tidied");
    writer.release();
    const places = await db.rows("select tableoid::regclass::text as place from late.attempt");
    expect(places).toEqual([{ place: `late.attempt_${week}` }]);
    await store.close();
  });

  test("a start does not fail where somebody is at work before the partitions are made", async () => {
    const busy = await db.pool.connect();
    await busy.query("begin");
    const holding = busy.query(
      `do $$ begin
         while not exists (
           select from pg_class where relname = 'note' and relnamespace::regnamespace::text = 'busy'
         ) loop perform pg_sleep(0.001); end loop;
         lock table only busy.note in access share mode;
       end $$`,
    );
    const store = await open("busy");
    await store.migrate("auto");
    await holding;
    const made = async () =>
      (await db.rows("select from pg_class where relname ~ '^note_[0-9]{8}$' and relnamespace = 'busy'::regnamespace"))
        .length;
    expect(await made()).toBe(0);
    await busy.query("commit");
    busy.release();
    await store.tidy({ dedupeDays: 45, retainDays: 45 });
    expect(await made()).toBeGreaterThanOrEqual(4);
    await store.close();
  });
});
