// What the documents show runs: their SQL on a real server, and those of their examples that are whole. Their TypeScript is
// compiled by test/docs.test.ts.
import { spawn } from "node:child_process";
import { expect, test } from "vitest";
import { until } from "../support/database.ts";
import { blocks, documents, spans } from "../support/documents.ts";
import { testDatabase } from "../support/instance.ts";

const db = testDatabase();

test("every block of SQL runs, and so does what is called between the lines", async () => {
  const nt = db.open();
  nt.on("*", { consumer: "all" }, () => {});
  nt.job("report", {});
  await nt.ready();
  const shown = blocks("sql").map(({ file, line, text }) => ({ at: `${file}:${line}`, text }));
  for (const file of documents)
    for (const text of spans(file)) if (/^select nevertwice\.\w+\([^…]+\)$/.test(text)) shown.push({ at: file, text });
  expect(shown.length).toBeGreaterThan(1);
  const client = await db.pool.connect();
  try {
    for (const { at, text } of shown) {
      await client.query("begin");
      // What the blocks take as given.
      await client.query("create temporary table new_rows on commit drop as select 7 as id");
      await client.query(text).catch((error: unknown) => expect.unreachable(`${at}: ${String(error)}`));
      const sent = await client.query("select from nevertwice.message");
      expect(sent.rowCount, at).toBeGreaterThan(0);
      await client.query("rollback");
    }
  } finally {
    client.release(true);
  }
});

/** Those that make an instance of their own: what they take as given, and what they print. README.md's is in quickstart.test.ts. */
const WHOLE: Readonly<Record<string, { readonly given: string; readonly prints: string }>> = {
  "docs/jobs.md": {
    given: "async function render(day: string, key: string) { return { url: `/reports/${day}?${key.length}` }; }",
    prints: "accepted /reports/2026-11-23?35\n",
  },
};

test("each example that makes an instance of its own runs, and does what it says", async () => {
  const whole = blocks("ts").filter(({ file, text }) => text.includes("new Nevertwice(") && file !== "README.md");
  expect(whole.map(({ file }) => file)).toEqual(Object.keys(WHOLE));
  for (const { file, text } of whole) {
    await db.pool.query("create table if not exists report (day text, url text)");
    const { given, prints } = WHOLE[file] as { given: string; prints: string };
    const words = ["--import", "./test/support/on-source.ts", "--input-type=module-typescript", "-"];
    const child = spawn(process.execPath, words, { env: { ...process.env, DATABASE_URL: db.url } });
    child.stdin.end(`${text}\n${given}\n`);
    let [out, err] = ["", ""];
    child.stdout.on("data", (chunk) => (out += String(chunk)));
    child.stderr.on("data", (chunk) => (err += String(chunk)));
    const ended = new Promise((resolve) => child.once("close", resolve));
    try {
      await until(`${file} prints`, () => out === prints || child.exitCode !== null);
      expect(out, err).toBe(prints);
    } finally {
      child.kill();
      await ended;
    }
  }
  expect(await db.rows("select * from report")).toEqual([{ day: "2026-11-23", url: "/reports/2026-11-23?35" }]);
});
