// `npm run bench -- ingest|process|jobs [--json] [--quick | --full] [--case name]`. Progress on stderr; last on stdout a JSON array of rows.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { startEmbedded } from "nevertwice/embedded";
import pg from "pg";
import { ingestCases } from "../bench/ingest.ts";
import { jobsCases } from "../bench/jobs.ts";
import { processCases } from "../bench/process.ts";
import { measure, type Row } from "../bench/rounds.ts";

const { values, positionals } = parseArgs({
  options: {
    json: { type: "boolean" },
    quick: { type: "boolean", default: false },
    full: { type: "boolean", default: false },
    case: { type: "string" },
  },
  allowPositionals: true,
});
const benches = { ingest: ingestCases, process: processCases, jobs: jobsCases };
const cases = benches[positionals[0] as keyof typeof benches];
if (cases === undefined) {
  console.error("npm run bench -- ingest|process|jobs [--json] [--quick | --full] [--case name]");
  process.exit(2);
}
if (positionals[0] !== "ingest" && !existsSync("bench/peers/node_modules")) {
  console.error("installing the peers");
  spawnSync("npm", ["install", "--prefix", "bench/peers", "--no-audit", "--no-fund", "--no-package-lock"], {
    stdio: ["ignore", 2, 2],
  });
}

const given = process.env["DATABASE_URL"] ?? "";
const folder = await mkdtemp(path.join(os.tmpdir(), "nevertwice-bench-"));
const settings = { shared_buffers: "1GB", max_wal_size: "4GB", min_wal_size: "1GB", max_connections: "200" };
const embedded = given === "" ? await startEmbedded({ folder, settings }) : undefined;
const url = embedded?.url ?? given;
try {
  await warmUp();
  const rows: Row[] = [];
  for (const one of cases(url, values.quick)) {
    if (values.case === undefined ? one.long === true && !values.full : values.case !== one.name) continue;
    rows.push(await measure(one, values.quick || one.long === true ? 1 : 3, (line) => console.error(line)));
  }
  if (values.json === true) console.log(JSON.stringify(rows));
  else console.table(rows);
} finally {
  await embedded?.leave();
  if (embedded !== undefined) await rm(path.dirname(embedded.dataFolder), { recursive: true, force: true });
  await rm(folder, { recursive: true, force: true });
}

/** PostgreSQL fills and syncs each new WAL file until files are reused: a few hundred MB first. */
async function warmUp(): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  await client.query(
    "create table bench_warm as select g as id, repeat('x', 1000) as text from generate_series(1, 400000) g",
  );
  await client.query("drop table bench_warm");
  await client.query("checkpoint");
  await client.end();
}
