// The handler that everybody writes by hand: look the event up, insert it as "processing", process, update to
// "completed". It verifies signatures, remembers events and answers errors, and it is wrong in three ways; see README.md.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import pg from "pg";
import Stripe from "stripe";
import { verify } from "@octokit/webhooks-methods";
import { provider } from "../shop/provider.ts";

const pool = new pg.Pool({ connectionString: process.env["DATABASE_URL"], max: 10 });
pool.on("error", () => {});
await pool.query(await readFile(new URL("tables.sql", import.meta.url), "utf8"));
const stripe = new Stripe("sk_test_unused");

const server = createServer(async (req, res) => {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks).toString();
  try {
    const source = req.url === "/stripe" ? "stripe" : "github";
    let event: { id: string; topic: string; sku?: string; amount: number };
    try {
      event = source === "stripe" ? readStripe(body, req.headers) : await readGithub(body, req.headers);
    } catch {
      res.writeHead(401).end("bad signature");
      return;
    }

    const known = await pool.query("select status from by_hand.event where event_id = $1", [event.id]);
    if (known.rows.length > 0) {
      res.writeHead(200).end("already processed");
      return;
    }
    await pool.query("insert into by_hand.event (event_id, status) values ($1, 'processing')", [event.id]);
    try {
      await handle(source, event);
    } catch (error) {
      await pool.query("update by_hand.event set status = 'failed' where event_id = $1", [event.id]);
      throw error;
    }
    await pool.query("update by_hand.event set status = 'completed' where event_id = $1", [event.id]);
    res.writeHead(200).end("ok");
  } catch {
    res.writeHead(500).end("error");
  }
});

async function handle(
  source: string,
  event: { id: string; topic: string; sku?: string; amount: number },
): Promise<void> {
  await pool.query("insert into by_hand.audit (source, event, topic) values ($1, $2, $3)", [
    source,
    event.id,
    event.topic,
  ]);
  if (event.topic !== "payment_intent.succeeded" || event.sku === undefined) return;
  const stock = await pool.query("update by_hand.stock set on_hand = on_hand - 1 where sku = $1", [event.sku]);
  // Not our goods: there is nothing that a retry could change.
  if (stock.rowCount === 0) return;
  const keyed = (kind: string) => ({ idempotencyKey: `${kind}-${event.id}`, signal: new AbortController().signal });
  const payout = await provider("payout", event.id, event.amount, keyed("payout"));
  const receipt = await provider("receipt", event.id, event.amount, keyed("receipt"));
  await pool.query("insert into by_hand.sale (event, sku, payout, receipt) values ($1, $2, $3, $4)", [
    event.id,
    event.sku,
    payout,
    receipt,
  ]);
  const mail = await provider("mail", event.id, 0, keyed("mail"));
  await pool.query("insert into by_hand.mail (event, mail) values ($1, $2)", [event.id, mail]);
}

type Headers = Record<string, string | string[] | undefined>;

function readStripe(body: string, headers: Headers): { id: string; topic: string; sku?: string; amount: number } {
  const secret = process.env["STRIPE_WEBHOOK_SECRET"] as string;
  const event = stripe.webhooks.constructEvent(body, String(headers["stripe-signature"]), secret);
  const object = event.data.object as { amount?: number; metadata?: { sku?: string } };
  const sku = object.metadata?.sku;
  return { id: event.id, topic: event.type, amount: object.amount ?? 0, ...(sku === undefined ? {} : { sku }) };
}

async function readGithub(body: string, headers: Headers): Promise<{ id: string; topic: string; amount: number }> {
  const secret = process.env["GITHUB_WEBHOOK_SECRET"] as string;
  if (!(await verify(secret, body, String(headers["x-hub-signature-256"])))) throw new Error("bad signature");
  return { id: String(headers["x-github-delivery"]), topic: String(headers["x-github-event"]), amount: 0 };
}

server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as { port: number };
  process.send?.({ url: `http://127.0.0.1:${port}` });
});
process.once("SIGTERM", () => process.exit(0));
