import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../support/database.ts";

// The demo as `npm start` runs it, in a folder of its own: the main job on real input, with a killed worker.
const ACCOUNT =
  /^account: sent (\d+) accepted (\d+) duplicates (\d+) refused (\d+) retried (\d+) dead (\d+) effects (\d+) lost (\d+) doubled (\d+)$/m;
let folder: string;
let running: ChildProcess | undefined;
beforeAll(async () => void (folder = await mkdtemp(path.join(os.tmpdir(), "nt-demo-"))));
afterAll(async () => {
  running?.kill("SIGKILL");
  await rm(folder, { recursive: true, force: true });
});

async function play(): Promise<{ account: number[]; out: string; ms: number }> {
  const began = performance.now();
  const { DATABASE_URL: _, ...env } = process.env;
  const child = spawn(process.execPath, [path.resolve("scripts/demo.ts")], { cwd: folder, env: { ...env, PORT: "0" } });
  running = child;
  let out = "";
  child.stdout.on("data", (chunk) => (out += String(chunk)));
  child.stderr.on("data", (chunk) => (out += String(chunk)));
  await until(`the account, in: ${out}`, () => ACCOUNT.test(out) || child.exitCode !== null, 60_000);
  const ms = performance.now() - began;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  expect(await ended).toBe(0);
  return { account: (ACCOUNT.exec(out)?.slice(1) ?? []).map(Number), out, ms };
}

test(
  "529 real webhooks, 40 % of them twice or more, a worker killed: nothing lost, nothing twice; and again after a restart",
  { timeout: 150_000 },
  async () => {
    const first = await play();
    const [sent = 0, accepted, duplicates = 0, refused, , dead, effects = 0, lost, doubled] = first.account;
    expect({ accepted, refused, dead, lost, doubled }, first.out).toEqual({
      accepted: 529,
      refused: 27,
      dead: 3,
      lost: 0,
      doubled: 0,
    });
    expect(sent).toBeGreaterThan(900);
    expect(duplicates).toBeGreaterThan(300);
    // 529 audits; 157 payments of six effects each, the audit among them.
    expect(effects).toBe(529 + 157 * 5);
    expect(first.out).toContain("5 GitHub bodies came again under other ids");
    expect(first.out).toMatch(/written by hand +lost [1-9]\d*, doubled [1-9]/);
    expect(first.ms).toBeLessThan(60_000);
    const second = await play();
    expect(second.account).toEqual(first.account);
  },
);
