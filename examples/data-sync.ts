// Data synchronisation: a catalogue is fetched page by page; each product is written once, though pages fail and two timers start it.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Nevertwice } from "nevertwice";
import { openDatabase } from "./shared/database.ts";

await using database = await openDatabase(
  "create table product (sku text primary key, cents int, written int default 1)",
);

// Their catalogue: four pages of 25. It is down when the second page is asked for first; and our next timer fires meanwhile.
let asked = 0;
const upstream = createServer(async (req, res) => {
  const page = Number(new URL(req.url ?? "", "http://localhost").searchParams.get("page"));
  if (++asked === 2) {
    started.push(await start());
    return res.writeHead(502).end();
  }
  const products = Array.from({ length: 25 }, (_, n) => ({ sku: `p-${page}-${n}`, cents: 100 + n }));
  return res.end(JSON.stringify({ products, next: page < 4 ? page + 1 : undefined }));
});
await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
const url = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;

interface Page {
  readonly products: readonly { readonly sku: string; readonly cents: number }[];
  readonly next?: number;
}

const nt = new Nevertwice({ database: database.url });
const sync = nt.job(
  "sync",
  { retry: { baseMs: 50 } },
  async ({ shop, page }: { shop: string; page: number }, { tx, attempt, signal }) => {
    // Reading changes nothing over there: it needs no step.
    const answer = await fetch(`${url}?page=${page}`, { signal });
    if (!answer.ok) throw new Error(`page ${page}: ${answer.status}`);
    const { products, next } = (await answer.json()) as Page;
    await tx.query(
      `insert into product (sku, cents) select sku, cents from jsonb_to_recordset($1) as p (sku text, cents int)
       on conflict (sku) do update set cents = excluded.cents, written = product.written + 1`,
      [JSON.stringify(products)],
    );
    // The next page leaves with this one's products, or not at all. Its key is free: nothing else of this shop waits.
    if (next !== undefined) {
      await sync.enqueue({ shop, page: next }, { key: shop, unique: { while: "waiting" }, tx });
    }
    if (page === 3 && attempt === 1) throw new Error("crashed after page 3 was written");
  },
);

// Two timers at once, and the third one while it runs: one synchronisation.
const start = () => sync.enqueue({ shop: "tea", page: 1 }, { key: "tea", unique: { while: "outstanding" } });
const started = await Promise.all([start(), start()]);
await nt.start();
await database.settled();
await nt.stop();
upstream.close();

const [products] = await database.rows("select count(*)::int as count, max(written) as most from product");
assert.deepEqual(started.map((one) => one.kind).toSorted(), ["accepted", "ignored", "ignored"]);
assert.deepEqual(products, { count: 100, most: 1 });
assert.equal(asked, 6);
console.log(`data-sync: started ${started.length} times, ran once; ${asked} requests; 100 products, each written once`);
