// Integration event: an order and the event about it are one transaction, in Kysely or from a trigger. Each system acts on it once.
import assert from "node:assert/strict";
import { Kysely, PostgresDialect, sql } from "kysely";
import { Nevertwice } from "nevertwice";
import { kyselyTx } from "nevertwice/kysely";
import { openDatabase } from "./shared/database.ts";

interface Tables {
  purchase: { id: string; state: string };
  // Without keys: they would show what takes effect twice.
  shipment: { order_id: string };
  invoice: { order_id: string; attempt: number };
}

await using database = await openDatabase(`
  create table purchase (id text primary key, state text not null);
  create table shipment (order_id text);
  create table invoice (order_id text, attempt int);
`);
const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: database.pool }) });
const nt = new Nevertwice({ database: database.url });

// Two systems, each with the event for itself. What they write with their own models commits with the completion.
nt.on<{ id: string }>("order.placed", { consumer: "warehouse" }, async ({ id }, { tx }) => {
  await kyselyTx<Tables>(tx).insertInto("shipment").values({ order_id: id }).execute();
});
nt.on<{ id: string }>(
  "order.*",
  { consumer: "billing", retry: { baseMs: 50 } },
  async ({ id }, { tx, attempt, message }) => {
    if (message.topic === "order.cancelled") return;
    await kyselyTx<Tables>(tx).insertInto("invoice").values({ order_id: id, attempt }).execute();
    if (attempt === 1) throw new Error("billing crashed after the invoice was written");
  },
);

/** The outbox: the event leaves if the order commits, and only then. */
function place(id: string, fails = false): Promise<string> {
  return db.transaction().execute(async (trx) => {
    const placed = await trx
      .insertInto("purchase")
      .values({ id, state: "placed" })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst();
    const { kind } = await nt.send("order.placed", { id }, { key: `placed/${id}`, tx: trx });
    if (fails) throw new Error(`no stock for ${id}, ${placed.numInsertedOrUpdatedRows} row taken back`);
    return kind;
  });
}

await nt.start();
// A cancellation is written by another program, in another language: a trigger tells of it.
await sql`
  create function tell_cancelled() returns trigger language plpgsql as $$
    begin
      perform nevertwice.send('order.cancelled', json_build_object('id', new.id), key => 'cancelled/' || new.id);
      return new;
    end $$`.execute(db);
await sql`
  create trigger cancelled after update on purchase for each row
    when (new.state = 'cancelled') execute function tell_cancelled()`.execute(db);

// The client of order 1 tries again at the same time: one waits for the other's transaction, and is a copy.
const answers = await Promise.allSettled([place("1"), place("1"), place("2"), place("3", true)]);
await db.updateTable("purchase").set({ state: "cancelled" }).where("id", "=", "2").execute();
await database.settled();
await nt.stop();

const kinds = answers.map((answer) => (answer.status === "fulfilled" ? answer.value : "rolled back"));
const events = await database.rows("select topic, key from nevertwice.message order by key");
assert.deepEqual(kinds.toSorted(), ["accepted", "accepted", "duplicate", "rolled back"]);
assert.deepEqual(
  events.map((one) => one["key"]),
  ["cancelled/2", "placed/1", "placed/2"],
);
assert.deepEqual(await database.rows("select * from shipment order by 1"), [{ order_id: "1" }, { order_id: "2" }]);
assert.deepEqual(await database.rows("select order_id from invoice order by 1"), [
  { order_id: "1" },
  { order_id: "2" },
]);
console.log(
  `integration-event: ${answers.length} orders tried, ${events.length} events, each took effect once in each system`,
);
