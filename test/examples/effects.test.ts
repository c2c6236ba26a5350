// The examples of examples/README.md, as a reader starts them: in processes of their own. Each makes trouble and asserts at its end
// that what it is about took effect once; the line that it prints is compared here, so that it cannot have ended before.
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

const accounts: Readonly<Record<string, RegExp>> = {
  "audit-log": /^audit-log: 240 came, 120 were copies, 119 written once, 1 dead letter$/m,
  "data-sync": /^data-sync: started 3 times, ran once; \d+ requests; 100 products, each written once$/m,
  email: /^email: 5 forms, \d+ requests, 2 mails sent, one each$/m,
  "external-notification": /^external-notification: enqueued 2 times, \d+ requests, the partner booked it once$/m,
  "integration-event": /^integration-event: 4 orders tried, 3 events, each took effect once in each system$/m,
  "payment-callback": /^payment-callback: 4 callbacks, 1 forged, 3 were copies; paid once$/m,
  payout: /^payout: asked for twice, 1 worker killed, \d+ requests under one key, paid once$/m,
  receipt: /^receipt: 16 told, 8 receipts, numbers 1 to 8 without a gap$/m,
  report: /^report: asked for 2 times, rendered 1 time, uploaded once; each night has one report$/m,
  "state-change": /^state-change: 27 news of 3 parcels, 9 changes, the customer told once of each$/m,
  "stock-update": /^stock-update: 40 sent, 20 orders, 18 took stock once, 2 were out of stock$/m,
  "user-notification": /^user-notification: 12 notes, \d+ requests, 3 pushed, one each$/m,
};
/** A process each: starting Node and its modules costs as much as an example. */
const SHARES = [
  ["payout", "audit-log"],
  ["report", "email", "integration-event", "payment-callback", "external-notification"],
  ["stock-update", "data-sync", "receipt", "state-change", "user-notification"],
] as const;

function run(names: readonly string[]): Promise<{ code: number | null; out: string; err: string }> {
  const words = ["--import", "./test/support/on-source.ts", "scripts/example.ts", ...names];
  const child = spawn(process.execPath, words, { env: { ...process.env, DATABASE_URL: process.env["NT_TEST_URL"] } });
  const said = { out: "", err: "" };
  child.stdout.on("data", (text: Buffer) => (said.out += text.toString()));
  child.stderr.on("data", (text: Buffer) => (said.err += text.toString()));
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, ...said })));
}

describe.concurrent("examples end, and tell of one effect each", () => {
  for (const names of SHARES) {
    test(names.join(", "), async () => {
      const { code, out, err } = await run(names);
      expect(code, out + err).toBe(0);
      for (const name of names) expect(out).toMatch(accounts[name] as RegExp);
    });
  }
});

test("each example is run here and stands in the table of examples/README.md", () => {
  const files = readdirSync("examples").filter((file) => file.endsWith(".ts") && file !== "quickstart.ts");
  const names = files.map((file) => file.slice(0, -3));
  expect(names).toEqual(Object.keys(accounts));
  expect(SHARES.flat().toSorted()).toEqual(names);
  const table = readFileSync("examples/README.md", "utf8");
  for (const name of names) expect(table).toContain(`| [${name}](${name}.ts) |`);
});
