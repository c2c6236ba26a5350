// Receipt: every payment has one receipt with a number of its own and no number is left out, though attempts fail half-way.
import assert from "node:assert/strict";
import { Nevertwice } from "nevertwice";
import { openDatabase } from "./shared/database.ts";
import { ask, startProvider } from "./shared/provider.ts";

await using database = await openDatabase(`
  create table counter (year int primary key, last int not null);
  insert into counter values (2026, 0);
  create table receipt (number int, payment text, document int); -- no key: it would show what takes effect twice
`);
// The maker of PDFs: every third one it makes, and the answer is lost.
await using documents = await startProvider((request) => (request % 3 === 0 ? "lost" : "done"));

interface Payment {
  readonly id: string;
  readonly cents: number;
}

const nt = new Nevertwice({ database: database.url });

// A sequence leaves gaps where a transaction is rolled back, which a tax office does not like. This does not: the number is drawn in
// the transaction that completes the delivery.
nt.on<Payment>(
  "payment.succeeded",
  { consumer: "number", retry: { baseMs: 50 } },
  async (payment, { tx, send, attempt }) => {
    const { rows } = await tx.query<{ last: number }>(
      "update counter set last = last + 1 where year = 2026 returning last",
    );
    await send("receipt.numbered", { ...payment, number: rows[0]?.last });
    if (attempt === 1 && payment.id === "pay-2") throw new Error("crashed after the number was drawn");
  },
);

nt.on<Payment & { number: number }>(
  "receipt.numbered",
  { consumer: "receipt", retry: { baseMs: 50 } },
  async ({ id, cents, number }, { step, tx }) => {
    const text = `Receipt 2026-${number}: ${cents / 100} EUR`;
    const document = await step.run("document", (tools) => ask(documents.url, { text }, tools));
    await tx.query("insert into receipt values ($1, $2, $3)", [number, id, document]);
  },
);

await nt.start();
const payments: Payment[] = Array.from({ length: 8 }, (_, n) => ({ id: `pay-${n}`, cents: 500 + n }));
// Each is told twice, as payment providers do.
const told = [...payments, ...payments];
await Promise.all(told.map((payment) => nt.send("payment.succeeded", payment, { key: payment.id })));
await database.settled();
await nt.stop();

const receipts = await database.rows("select * from receipt order by number");
const numbers = receipts.map((one) => one["number"] as number);
assert.deepEqual(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
assert.equal(new Set(receipts.map((one) => one["payment"])).size, payments.length);
assert.equal(documents.effects.size, payments.length);
assert.ok(documents.requests.length > payments.length, "no answer was lost");
console.log(
  `receipt: ${told.length} told, ${receipts.length} receipts, numbers ${numbers.at(0)} to ${numbers.at(-1)} without a gap`,
);
