// The examples of examples/README.md, each as a process of its own, as a reader starts it. Each makes trouble and asserts at its end
// that what it is about took effect once; the line that it prints is compared here, so that it cannot have ended before.
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

const accounts: Readonly<Record<string, RegExp>> = {
  "audit-log": /^audit-log: 240 came, 120 were copies, 119 written once, 1 dead letter$/,
  "data-sync": /^data-sync: started 3 times, ran once; \d+ requests; 100 products, each written once$/,
  email: /^email: 5 forms, \d+ requests, 2 mails sent, one each$/,
  "external-notification": /^external-notification: enqueued 2 times, \d+ requests, the partner booked it once$/,
  "integration-event": /^integration-event: 4 orders tried, 3 events, each took effect once in each system$/,
  "payment-callback": /^payment-callback: 4 callbacks, 1 forged, 3 were copies; paid once$/,
  payout: /^payout: asked for twice, 1 worker killed, \d+ requests under one key, paid once$/,
  receipt: /^receipt: 16 told, 8 receipts, numbers 1 to 8 without a gap$/,
  report: /^report: asked for 2 times, rendered 1 time, uploaded once; each night has one report$/,
  "state-change": /^state-change: 27 news of 3 parcels, 9 changes, the customer told once of each$/,
  "stock-update": /^stock-update: 40 sent, 20 orders, 18 took stock once, 2 were out of stock$/,
  "user-notification": /^user-notification: 12 notes, \d+ requests, 3 pushed, one each$/,
};

function run(name: string): Promise<{ code: number | null; out: string; err: string }> {
  const words = ["--import", "./test/support/on-source.ts", `examples/${name}.ts`];
  const child = spawn(process.execPath, words, { env: { ...process.env, DATABASE_URL: process.env["NT_TEST_URL"] } });
  const said = { out: "", err: "" };
  child.stdout.on("data", (text: Buffer) => (said.out += text.toString()));
  child.stderr.on("data", (text: Buffer) => (said.err += text.toString()));
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, ...said })));
}

describe.concurrent("an example", () => {
  test.each(Object.entries(accounts))("%s ends, and tells of one effect each", async (name, account) => {
    const { code, out, err } = await run(name);
    expect(code, err).toBe(0);
    expect(out.trimEnd()).toMatch(account);
  });
});

test("each example is run here and stands in the table of examples/README.md", () => {
  const files = readdirSync("examples").filter((file) => file.endsWith(".ts") && file !== "quickstart.ts");
  expect(files.map((file) => file.slice(0, -3))).toEqual(Object.keys(accounts));
  const table = readFileSync("examples/README.md", "utf8");
  for (const file of files) expect(table).toContain(`| [${file.slice(0, -3)}](${file}) |`);
});
