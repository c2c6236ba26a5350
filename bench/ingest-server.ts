// The server under load, a process of its own: Nevertwice's, or the handler that everybody writes by hand.
import { createServer } from "node:http";
import pg from "pg";
import { Nevertwice } from "nevertwice";
import { serve } from "nevertwice/server";
import { standardWebhooks } from "nevertwice/sources";

const { DATABASE_URL: url, BENCH_SECRET: secret, BENCH_SIDE: side } = process.env as Record<string, string>;
const source = standardWebhooks({ secret });
const ready = (at: string): void => void process.send?.({ url: at });
process.once("disconnect", () => process.exit(0));

if (side === "subject") {
  const nt = new Nevertwice({ database: url, schema: "bench_ingest", preparedStatements: true });
  // Declared, so that each message has its delivery; no worker runs.
  nt.inbox("in", source).on("*", { consumer: "ingested" }, () => {});
  await nt.ready();
  ready(`${(await serve(nt, { port: 0, host: "127.0.0.1" })).url}/in/in`);
} else {
  const pool = new pg.Pool({ connectionString: url, max: 20 });
  const server = createServer(async (req, res) => {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const headers = new Map(Object.entries(req.headers).map(([name, value]) => [name, [String(value)]]));
    const verdict = source.verify({ headers, body, nowMs: Date.now() });
    if (!verdict.ok) {
      res.writeHead(401).end();
      return;
    }
    const known = await pool.query("select status from bench_by_hand where id = $1", [verdict.key]);
    if (known.rows.length === 0) {
      await pool.query(
        "insert into bench_by_hand (id, status, body) values ($1, 'processing', $2) on conflict do nothing",
        [verdict.key, body],
      );
      await pool.query("update bench_by_hand set status = 'completed' where id = $1", [verdict.key]);
    }
    res.writeHead(200).end("ok");
  });
  server.listen(0, "127.0.0.1", () => ready(`http://127.0.0.1:${(server.address() as { port: number }).port}/`));
}
