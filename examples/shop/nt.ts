// The shop: a payment webhook takes stock, has a receipt made, pays out, and sends a mail; everything is audited.
// No I/O happens here: the database and the secrets are read at first use.
import { type Inbox, Nevertwice, TerminalError } from "nevertwice";
import { github, stripe } from "nevertwice/sources";
import { provider } from "./provider.ts";

interface Payment {
  readonly type: "payment_intent.succeeded";
  readonly data: { readonly object: { readonly amount: number; readonly metadata: { readonly sku: string } } };
}

export const nt = new Nevertwice({ database: () => process.env["DATABASE"] });
export const payments = nt.inbox("stripe", stripe<Payment>({ secret: () => process.env["STRIPE_WEBHOOK_SECRET"] }));
export const repository = nt.inbox("github", github({ secret: () => process.env["GITHUB_WEBHOOK_SECRET"] }));

const SKUS = new Set(["tea", "mug", "kettle"]);

payments.on("payment_intent.succeeded", { consumer: "fulfil" }, async (payment, { message, tx, step, send }) => {
  const { amount, metadata } = payment.data.object;
  if (!SKUS.has(metadata.sku)) throw new TerminalError(`we do not sell ${metadata.sku}`);
  // Outside effects first: each is recorded, and never asked for again once it is.
  const payout = await step.run("payout", (tools) => provider("payout", message.key, amount, tools));
  const receipt = await step.run("receipt", (tools) => provider("receipt", message.key, amount, tools));
  // Then our own database: commits together with the completion of this delivery, or not at all.
  await tx.query("update shop.stock set on_hand = on_hand - 1 where sku = $1", [metadata.sku]);
  await tx.query("insert into shop.sale (event, sku, payout, receipt) values ($1, $2, $3, $4)", [
    message.key,
    metadata.sku,
    payout,
    receipt,
  ]);
  // Leaves only if this commits.
  await send("receipt.created", { event: message.key });
});

nt.on<{ event: string }>("receipt.created", { consumer: "mail" }, async ({ event }, { step, tx }) => {
  const mail = await step.run("mail", (tools) => provider("mail", event, 0, tools));
  await tx.query("insert into shop.mail (event, mail) values ($1, $2)", [event, mail]);
});

for (const inbox of [payments, repository] as readonly Inbox<any>[]) {
  inbox.on("*", { consumer: `audit-${inbox.name}` }, async (_, { message, tx }) => {
    await tx.query("insert into shop.audit (source, event, topic) values ($1, $2, $3)", [
      message.source,
      message.key,
      message.topic,
    ]);
  });
}
