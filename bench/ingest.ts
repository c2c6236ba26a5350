import { fork, spawnSync } from "node:child_process";
import { createHmac, randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import pg from "pg";
import type { Case, Measured } from "./rounds.ts";

const SECRET = Buffer.alloc(32, 7);
const BODY = JSON.stringify({
  type: "invoice.paid",
  timestamp: "2026-11-24T12:00:00Z",
  data: { note: "x".repeat(950) },
});
/** More than the fastest side sends in the time of a run. */
const MOST_PER_SECOND = 32_000;

interface Load {
  readonly requests: number;
  readonly seconds: number;
  readonly failed: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly offered: number;
}

/** HTTP connections, 1 KB bodies, Standard Webhooks signatures; ledger, message and delivery all durable. */
export function ingestCases(url: string, quick: boolean): readonly Case[] {
  const seconds = quick ? 2 : 6;
  const one = (name: string, connections: number, copies: number): Case => ({
    bench: "ingest",
    name,
    unit: "requests/s",
    subject: () => load("subject", url, { connections, copies, seconds, quick }),
    baseline: () => load("by-hand", url, { connections, copies, seconds, quick }),
  });
  return [one("signed-64", 64, 1), one("signed-256", 256, 1), one("duplicates-64", 64, 2)];
}

/** Requests a second on our side, with so many keys in the ledger already. */
export function ingestRate(url: string, quick: boolean, keys: number): Promise<Measured> {
  return load("subject", url, { connections: 64, copies: 1, seconds: quick ? 2 : 10, quick, keys });
}

interface LoadOptions {
  readonly connections: number;
  readonly copies: number;
  readonly seconds: number;
  readonly quick: boolean;
  /** Keys that the ledger knows before. @default 0 */
  readonly keys?: number;
}

async function load(
  side: "subject" | "by-hand",
  url: string,
  { connections, copies, seconds, quick, keys = 0 }: LoadOptions,
): Promise<Measured> {
  if (spawnSync("wrk", ["-v"]).error !== undefined) throw new Error("the load comes from wrk: apt-get install wrk");
  const folder = mkdtempSync(path.join(os.tmpdir(), "nevertwice-bench-"));
  const admin = new pg.Client(url);
  await admin.connect();
  const env = { DATABASE_URL: url, BENCH_SECRET: `whsec_${SECRET.toString("base64")}`, BENCH_SIDE: side };
  await admin.query("drop schema if exists bench_ingest cascade");
  await admin.query("drop table if exists bench_by_hand");
  await admin.query("create table bench_by_hand (id text primary key, status text not null, body bytea not null)");
  await admin.query("checkpoint");
  const server = fork("bench/ingest-server.ts", { env: { ...process.env, ...env } });
  try {
    const target = await new Promise<string>((resolve) =>
      server.once("message", (message) => resolve((message as { url: string }).url)),
    );
    if (keys > 0) {
      await admin.query(
        `insert into bench_ingest.ledger
         select gen_random_uuid(), gen_random_uuid(), gen_random_uuid() from generate_series(1, $1::int)`,
        [keys],
      );
      await admin.query("vacuum analyze bench_ingest.ledger");
      await admin.query("checkpoint");
    }
    // Warmed up on the same tables before it is counted: compilers and caches take a few seconds.
    run(folder, target, connections, copies, quick ? 1 : 3);
    const {
      requests,
      seconds: took,
      failed,
      p50Ms,
      p99Ms,
      offered,
    } = run(folder, target, connections, copies, seconds);
    if (failed > 0) throw new Error(`${failed} requests failed`);
    if (requests > offered) throw new Error("the signed requests were used up: raise MOST_PER_SECOND");
    const table = side === "subject" ? "bench_ingest.message" : "bench_by_hand";
    const { rows } = await admin.query<{ n: number }>(`select count(*)::int as n from ${table}`);
    // What is acknowledged is there: one row for each id, whatever was sent twice.
    if ((rows[0]?.n ?? 0) < requests / copies) throw new Error(`${requests} acknowledged, ${rows[0]?.n} stored`);
    return { value: requests / took, p50Ms: Math.round(p50Ms * 100) / 100, p99Ms: Math.round(p99Ms * 100) / 100 };
  } finally {
    server.kill("SIGKILL");
    await admin.query("drop schema if exists bench_ingest cascade");
    await admin.query("drop table if exists bench_by_hand");
    await admin.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

function run(folder: string, target: string, connections: number, copies: number, seconds: number): Load {
  const time = Math.floor(Date.now() / 1_000);
  const lines: string[] = [];
  for (let i = 0; i < MOST_PER_SECOND * seconds; i += copies) {
    const id = `msg_${randomUUID()}`;
    const signature = createHmac("sha256", SECRET).update(`${id}.${time}.`).update(BODY).digest("base64");
    for (let copy = 0; copy < copies; copy++) lines.push(`${id} ${time} v1,${signature}`);
  }
  const files = { BENCH_REQUESTS: path.join(folder, "requests"), BENCH_BODY: path.join(folder, "body") };
  writeFileSync(files.BENCH_REQUESTS, lines.join("\n"));
  writeFileSync(files.BENCH_BODY, BODY);
  const words = ["-t1", `-c${connections}`, `-d${seconds}s`, "--timeout", "10s", "-s", "bench/ingest.lua", target];
  const { stdout } = spawnSync("wrk", words, { env: { ...process.env, ...files }, encoding: "utf8" });
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Load;
}
