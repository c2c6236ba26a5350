// The README's example; a test runs it.
import { signStripe } from "nevertwice/sources";
// ---
import { Nevertwice } from "nevertwice";
import { stripe } from "nevertwice/sources";

const nt = new Nevertwice({ database: process.env.DATABASE_URL ?? "embedded:./.nevertwice" });
const payments = nt.inbox("payments", stripe({ secret: () => process.env.STRIPE_WEBHOOK_SECRET }));

payments.on("payment_intent.succeeded", { consumer: "fulfil" }, async (event: any, { tx, step, send }) => {
  const { sku } = event.data.object.metadata;
  // Outside effects first: the result is recorded, and a finished step is never run again.
  const receipt = await step.run("receipt", ({ idempotencyKey }) => makeReceipt(event.id, idempotencyKey));
  // Then your own database: commits together with the completion of this delivery, or not at all.
  await tx.query("update stock set on_hand = on_hand - 1 where sku = $1", [sku]);
  await send("receipt.created", receipt); // leaves only if this commits
});
nt.on("receipt.created", { consumer: "mail" }, (receipt) => console.log("mail", receipt));

export const POST = payments.receive; // (request: Request) => Promise<Response>: any framework
await nt.start();
// ---
async function makeReceipt(event: string, idempotencyKey: string): Promise<{ event: string; key: string }> {
  return { event, key: idempotencyKey };
}

/** What the example's test plays: one payment, sent three times. */
export async function play(): Promise<number[]> {
  const store = await nt.ready();
  await store.query("create table if not exists stock (sku text primary key, on_hand int not null)");
  await store.query("insert into stock values ('tea', 10) on conflict (sku) do update set on_hand = 10");
  const id = `evt_${Date.now()}`;
  const body = JSON.stringify({ id, type: "payment_intent.succeeded", data: { object: { metadata: { sku: "tea" } } } });
  const headers = signStripe(body, process.env.STRIPE_WEBHOOK_SECRET ?? "", Date.now());
  const send = () => POST(new Request("http://localhost/", { method: "POST", body, headers }));
  const answers = await Promise.all([send(), send(), send()]);
  for (let tries = 0; tries < 200; tries++) {
    const { rows } = await store.query("select from nevertwice.delivery");
    if (rows.length === 0) break;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  const { rows } = await store.query<{ on_hand: number }>("select on_hand from stock where sku = 'tea'");
  await nt.stop();
  return [...answers.map((answer) => answer.status), rows[0]?.on_hand ?? -1];
}
