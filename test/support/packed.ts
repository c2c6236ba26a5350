import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync } from "node:fs";
import path from "node:path";
import { expect } from "vitest";

/**
 * The examples as a user has them, in `<folder>/run`: beside the package as npm would publish it. `files` names what stands where in
 * it, and where it is from.
 */
export function packed(folder: string, files: Readonly<Record<string, string>>): string {
  node("scripts/launch.mjs", "scripts/pack.mjs", folder);
  const run = path.resolve(folder, "run");
  rmSync(run, { recursive: true, force: true });
  mkdirSync(run);
  for (const [to, from] of Object.entries(files)) cpSync(from, path.join(run, to), { recursive: true });
  return run;
}

/** A program of Node's that must end well. */
export function node(...words: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: "utf8" });
  expect(status, stdout + stderr).toBe(0);
}
