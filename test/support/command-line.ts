import { AsyncLocalStorage } from "node:async_hooks";
import { spawn } from "node:child_process";
import path from "node:path";
import { format } from "node:util";
import { run } from "../../src/cli/run.ts";

export const MAIN = path.resolve("src/cli/main.ts");

export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

const printing = new AsyncLocalStorage<{ out: string; err: string }>();
for (const [name, to] of [
  ["log", "out"],
  ["error", "err"],
] as const) {
  const print = console[name].bind(console);
  console[name] = (...words: unknown[]) => {
    const ran = printing.getStore();
    if (ran === undefined) print(...words);
    else ran[to] += `${format(...words)}\n`;
  };
}

/**
 * One command line in this process, with this process's folder and environment: it takes no second, and what a process of its
 * own adds to it is tested where that is started. Several can run at once.
 */
export function commandLine(words: readonly string[]): Promise<Ran> {
  const printed = { out: "", err: "" };
  return printing.run(printed, async () => ({ code: await run(words), ...printed }));
}

/** The same as a shell starts it. */
export function commandProcess(words: readonly string[], cwd: string, env: Record<string, string>): Promise<Ran> {
  const child = spawn(process.execPath, [MAIN, ...words], { cwd, env: { ...process.env, ...env } });
  let [out, err] = ["", ""];
  child.stdout.on("data", (chunk) => (out += String(chunk)));
  child.stderr.on("data", (chunk) => (err += String(chunk)));
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, out, err })));
}
