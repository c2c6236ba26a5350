// Payment callback: Stripe tells of a payment three times, somebody forges one, and the first run crashes. The order is paid once.
import assert from "node:assert/strict";
import { Nevertwice } from "nevertwice";
import { serve } from "nevertwice/server";
import { signStripe, stripe } from "nevertwice/sources";
import { openDatabase } from "./shared/database.ts";

await using database = await openDatabase(`
  create table purchase (id text primary key, state text not null);
  create table credit (purchase text, cents int); -- no key: it would show what takes effect twice
  insert into purchase values ('order-1', 'open'), ('order-2', 'open');
`);
const secret = "whsec_example";

// With the package `stripe` beside it: stripe<Stripe.Event>({ … }), and each topic has its own type.
interface Succeeded {
  readonly type: "payment_intent.succeeded";
  readonly data: { readonly object: { readonly amount: number; readonly metadata: { readonly order: string } } };
}

const nt = new Nevertwice({ database: database.url });
const payments = nt.inbox("stripe", stripe<Succeeded>({ secret: () => secret }));

payments.on("payment_intent.succeeded", { consumer: "pay", retry: { baseMs: 50 } }, async (event, { tx, attempt }) => {
  const { amount, metadata } = event.data.object;
  await tx.query("update purchase set state = 'paid' where id = $1", [metadata.order]);
  await tx.query("insert into credit values ($1, $2)", [metadata.order, amount]);
  if (attempt === 1) throw new Error("crashed after the credit was written");
});

// At /in/stripe. In an app of yours: `export const POST = payments.receive`, or toNode(payments.receive) in Express.
const { url, close } = await serve(nt, { port: 0, host: "127.0.0.1" });
await nt.start();

async function callback(order: string, signedWith = secret): Promise<string> {
  const object = { amount: 4_200, metadata: { order } };
  const body = JSON.stringify({ id: `evt_${order}`, type: "payment_intent.succeeded", data: { object } });
  const headers = signStripe(body, signedWith, Date.now());
  const answer = await fetch(`${url}/in/stripe`, { method: "POST", headers, body });
  return `${answer.status} ${((await answer.json()) as { status: string }).status}`;
}

const answers = await Promise.all([callback("order-1"), callback("order-1"), callback("order-1")]);
const forged = await callback("order-2", "whsec_guessed");
await database.settled();
// Hours later Stripe sends it once more: it never saw our answer.
answers.push(await callback("order-1"));
await close();
await database.settled();
await nt.stop();

assert.deepEqual(answers.toSorted(), ["200 accepted", "200 duplicate", "200 duplicate", "200 duplicate"]);
assert.equal(forged, "401 refused");
assert.deepEqual(await database.rows("select * from credit"), [{ purchase: "order-1", cents: 4_200 }]);
assert.deepEqual(await database.rows("select * from purchase order by id"), [
  { id: "order-1", state: "paid" },
  { id: "order-2", state: "open" },
]);
console.log(`payment-callback: ${answers.length} callbacks, 1 forged, 3 were copies; paid once`);
