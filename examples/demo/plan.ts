// What the demo sends: GitHub's example payloads as they are, and Stripe events of the shop.
import { randomUUID } from "node:crypto";
import octokit from "@octokit/webhooks-examples" with { type: "json" };
import { sign } from "@octokit/webhooks-methods";
import Stripe from "stripe";

export interface Planned {
  readonly source: "stripe" | "github";
  readonly key: string;
  readonly topic: string;
  /** Milliseconds after the beginning. */
  readonly at: number;
  /** How often the sender sends it by itself: a redelivery after an answer it lost, a second sender, an impatient one. */
  readonly copies: number;
  /** All copies at the same moment. */
  readonly together: boolean;
  /** Somebody without the secret sends one, too. */
  readonly forged: boolean;
  /** A payment for something that the shop sells, one for something it does not, or no payment. */
  readonly payment: "sold" | "not-sold" | undefined;
  /** The body of the n-th copy: Stripe's `pending_webhooks` changes from one to the next. */
  body(copy: number): string;
}

const STRIPE_EVENTS = 200;

export function plan(playMs: number): readonly Planned[] {
  const examples = octokit as unknown as readonly { name: string; examples: readonly { action?: string }[] }[];
  const github = examples.flatMap(({ name, examples: payloads }) =>
    payloads.map((payload) => {
      const body = JSON.stringify(payload);
      return { source: "github" as const, key: randomUUID(), topic: name, payment: undefined, body: () => body };
    }),
  );
  const stripe = Array.from({ length: STRIPE_EVENTS }, (_, i) => stripeEvent(i));
  return shuffled([...github, ...stripe]).map((message, i, all) => {
    // Four in ten come twice or more, half of those at the same moment; one in twenty is forged as well.
    const copies = i % 10 < 4 ? 2 + (i % 3) : 1;
    return { ...message, at: (i / all.length) * playMs, copies, together: i % 2 === 0, forged: i % 20 === 7 };
  });
}

function stripeEvent(i: number): Pick<Planned, "source" | "key" | "topic" | "payment" | "body"> {
  const key = `evt_${randomUUID().replaceAll("-", "")}`;
  const paid = i % 5 !== 4;
  const sku = i % 60 === 30 ? "unicorn" : (["tea", "mug", "kettle"][i % 3] as string);
  const topic = paid ? "payment_intent.succeeded" : "charge.refunded";
  const object = { id: `pi_${i}`, object: "payment_intent", amount: 500 + i, currency: "eur", metadata: { sku } };
  const event = {
    id: key,
    object: "event",
    api_version: "2026-10-28",
    created: Math.floor(Date.now() / 1_000),
    livemode: false,
  };
  return {
    source: "stripe",
    key,
    topic,
    payment: paid ? (sku === "unicorn" ? "not-sold" : "sold") : undefined,
    body: (copy) =>
      JSON.stringify({ ...event, data: { object }, pending_webhooks: Math.max(0, 3 - copy), type: topic }, null, 2),
  };
}

const stripe = new Stripe("sk_test_unused");

/** Signed as the provider signs, by the provider's own library where it has one. */
export async function headers(message: Planned, body: string, secret: string): Promise<Record<string, string>> {
  const json = { "content-type": "application/json" };
  if (message.source === "stripe") {
    const signature = stripe.webhooks.generateTestHeaderString({ payload: body, secret });
    return { ...json, "stripe-signature": signature };
  }
  const signature = await sign(secret, body);
  return {
    ...json,
    "x-hub-signature-256": signature,
    "x-github-delivery": message.key,
    "x-github-event": message.topic,
  };
}

function shuffled<Item>(items: readonly Item[]): Item[] {
  return items
    .map((item) => ({ item, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
