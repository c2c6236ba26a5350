// Stock update: every order takes its goods from stock once, though each is sent twice, two workers race for it, and some crash.
import assert from "node:assert/strict";
import { Nevertwice } from "nevertwice";
import { openDatabase } from "./shared/database.ts";

await using database = await openDatabase(`
  create table stock (sku text primary key, on_hand int not null check (on_hand >= 0));
  -- Without keys: they would show what takes effect twice.
  create table taken (order_id text, sku text, quantity int);
  create table apology (order_id text);
  insert into stock values ('tea', 30), ('mug', 3);
`);

interface Order {
  readonly id: string;
  readonly sku: string;
  readonly quantity: number;
}

/** The same code runs in every process. */
function shop(): Nevertwice {
  const nt = new Nevertwice({ database: database.url });
  nt.on<Order>("order.placed", { consumer: "stock", retry: { baseMs: 50 } }, async (order, { tx, send, attempt }) => {
    const { rowCount } = await tx.query("update stock set on_hand = on_hand - $2 where sku = $1 and on_hand >= $2", [
      order.sku,
      order.quantity,
    ]);
    if (rowCount === 0) {
      await send("order.out-of-stock", { id: order.id });
      return;
    }
    await tx.query("insert into taken values ($1, $2, $3)", [order.id, order.sku, order.quantity]);
    // A bug, a lost connection, a full disk: what was written is taken back, and the order comes again.
    if (attempt === 1 && order.id.endsWith("3")) throw new Error("crashed after the stock was taken");
  });
  nt.on<{ id: string }>("order.out-of-stock", { consumer: "sorry" }, ({ id }, { tx }) =>
    tx.query("insert into apology values ($1)", [id]),
  );
  return nt;
}

const processes = [shop(), shop()] as const;
await Promise.all(processes.map((nt) => nt.start()));

const orders: Order[] = Array.from({ length: 15 }, (_, n) => ({ id: `tea-${n}`, sku: "tea", quantity: 2 }));
orders.push(...Array.from({ length: 5 }, (_, n) => ({ id: `mug-${n}`, sku: "mug", quantity: 1 })));
// Each process sends all of them: two copies at once.
const sent = await Promise.all(
  processes.flatMap((nt) => orders.map((order) => nt.send("order.placed", order, { key: order.id }))),
);
await database.settled();
await Promise.all(processes.map((nt) => nt.stop()));

const accepted = sent.filter((one) => one.kind === "accepted").length;
const stock = await database.rows("select sku, on_hand from stock order by sku");
const apologies = await database.rows("select from apology");
const taken = await database.rows("select order_id, count(*)::int as times from taken group by 1");
assert.equal(accepted, orders.length);
assert.deepEqual(stock, [
  { sku: "mug", on_hand: 0 },
  { sku: "tea", on_hand: 0 },
]);
assert.equal(taken.length, 18);
assert.ok(taken.every((one) => one["times"] === 1));
assert.equal(apologies.length, 2);
console.log(
  `stock-update: ${sent.length} sent, ${accepted} orders, ${taken.length} took stock once, 2 were out of stock`,
);
