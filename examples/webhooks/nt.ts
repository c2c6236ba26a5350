// What comes in and what is done about it: the same on every platform. Nothing is opened here: the database and the secret are
// read at first use.
import { Nevertwice } from "nevertwice";
import { stripe } from "nevertwice/sources";

interface Payment {
  readonly type: "payment_intent.succeeded";
  readonly data: { readonly object: { readonly metadata: { readonly sku: string } } };
}

export const nt = new Nevertwice({ database: () => process.env["DATABASE_URL"] });
export const payments = nt.inbox("stripe", stripe<Payment>({ secret: () => process.env["STRIPE_WEBHOOK_SECRET"] }));

payments.on("payment_intent.succeeded", { consumer: "fulfil" }, async (payment, { message, tx }) => {
  const { sku } = payment.data.object.metadata;
  await tx.query("insert into sale (event, sku) values ($1, $2)", [message.key, sku]);
});

export const report = nt.job<{ day: string }>("report", {}, async ({ day }, { tx }) => {
  await tx.query("insert into report (day) values ($1)", [day]);
});
