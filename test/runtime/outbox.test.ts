import { describe, expect, test } from "vitest";
import { until } from "../support/database.ts";
import { testDatabase } from "../support/instance.ts";

const db = testDatabase();
const messages = () =>
  db.rows<{ key: string; topic: string }>("select key, topic from nevertwice.message order by key");

describe("the outbox", () => {
  test("a message leaves with the caller's COMMIT; a rollback sends nothing; the key is one with nt.send's", async () => {
    const nt = db.open();
    const got: unknown[] = [];
    nt.on("order.placed", (event) => void got.push(event));
    await nt.start();
    const client = await db.pool.connect();
    await client.query("begin");
    await client.query("insert into effect (name, n) values ('order', 1)");
    expect(await nt.send("order.placed", { order: 1 }, { key: "1", tx: client })).toMatchObject({ kind: "accepted" });
    await client.query("rollback");
    expect(await messages()).toEqual([]);

    await client.query("begin");
    const sent = await nt.send("order.placed", { order: 1, ü: "€" }, { key: "ü-1", tx: client });
    expect(sent.kind).toBe("accepted");
    expect(await nt.send("order.placed", { order: 1, ü: "€" }, { key: "ü-1", tx: client })).toEqual({
      ...sent,
      kind: "duplicate",
    });
    await client.query("commit");
    client.release();
    await until("it is there", () => got.length === 1);
    expect(got).toEqual([{ order: 1, ü: "€" }]);
    // The hash in the database and the one in the process are the same: each absorbs what the other sent.
    expect(await nt.send("order.placed", { order: 1, ü: "€" }, { key: "ü-1" })).toEqual({ ...sent, kind: "duplicate" });
    expect((await nt.send("order.placed", { order: 2 }, { key: "ü-1" })).kind).toBe("conflict");
    await nt.send("order.placed", 3, { key: "three" });
    const [row] = await db.rows("select * from nevertwice.send('order.placed', '3', key => 'three')");
    expect(row?.["outcome"]).toBe("duplicate");
  });

  test("SQL alone, and a trigger: the transaction's own rows and what they send commit together", async () => {
    const nt = db.open();
    const got: any[] = [];
    nt.on("effect.made", (event) => void got.push(event));
    await nt.start();
    await db.rows(
      `create function announce() returns trigger language plpgsql as $$
       begin
         perform nevertwice.send('effect.made', row_to_json(new), key => 'effect-' || new.n);
         return new;
       end $$`,
    );
    await db.rows("create trigger announce after insert on effect for each row execute function announce()");
    await db.rows("insert into effect (name, n) select 'triggered', i from generate_series(1, 20) i");
    await db.rows("drop trigger announce on effect");
    await nt.send("nobody.hears", {});
    await until("all are there", () => got.length === 20);
    expect(got.map((one) => one.n).sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  });

  test("many at once, in the order of asking; two that send the same keys in opposite orders do not deadlock", async () => {
    const nt = db.open();
    await nt.ready();
    const keys = Array.from({ length: 50 }, (_, i) => `key-${i}`);
    const send = async (ordered: readonly string[]) => {
      const client = await db.pool.connect();
      await client.query("begin");
      const sent = await nt.sendMany(
        ordered.map((key) => ({ topic: "bulk", payload: key, key })),
        { tx: client },
      );
      await client.query("commit");
      client.release();
      return sent;
    };
    const [first, second] = await Promise.all([send(keys), send([...keys].reverse())]);
    expect(new Set(first.map((one) => one.id)).size).toBe(50);
    expect(first.map((one) => one.id)).toEqual([...second].reverse().map((one) => one.id));
    expect([...first, ...second].filter((one) => one.kind === "accepted")).toHaveLength(50);
  });

  // A row that committed late was skipped by readers that went on from the highest id they had seen.
  test("what commits late is never skipped", async () => {
    const nt = db.open();
    const got: number[] = [];
    nt.on<number>("late", (n) => void got.push(n));
    await nt.start();
    const late = await db.pool.connect();
    await late.query("begin");
    await nt.send("late", 1, { tx: late });
    await nt.send("late", 2);
    await until("the one that was sent after it", () => got.includes(2));
    await late.query("commit");
    late.release();
    await until("the late one", () => got.includes(1));
  });

  test("bad input is refused, and says what was expected", async () => {
    const nt = db.open();
    await nt.ready();
    // In autocommit it would be sent whatever becomes of the rest.
    await expect(nt.send("t", 1, { tx: db.pool })).rejects.toMatchObject({ code: "NT_SEND_TX" });
    await expect(nt.send("t", 1, { tx: {} as never })).rejects.toMatchObject({ code: "NT_SEND_TX" });
    expect((await messages()).filter((one) => one.topic === "t")).toEqual([]);
    for (const call of [
      "nevertwice.send('with space', '1')",
      "nevertwice.send('t', '1', key => '')",
      "nevertwice.send('t', '1', delay_ms => -1)",
      "nevertwice.send('t', null)",
    ])
      await expect(db.rows(`select ${call}`), call).rejects.toThrow("NT_OPTION: expected");
  });
});
