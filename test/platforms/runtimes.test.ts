// Node, Deno and Bun: the package as npm made it, in a process of its own.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { platformConformance, platformDatabase } from "../conformance/platform.ts";
import { testDatabase } from "../support/instance.ts";
import { node, packed } from "../support/packed.ts";
import { BUN, DENO, withBun, withDeno } from "../support/parts.ts";

let run = "";
beforeAll(() => {
  run = packed("compat/runtimes", {
    webhooks: "examples/webhooks",
    deno: "examples/deno",
    bun: "examples/bun",
    "engine.ts": "test/platforms/programs/engine.ts",
  });
  writeFileSync(path.join(run, "package.json"), '{ "type": "module" }');
});

/** How a runtime runs a file. Without install scripts nothing has made it a program yet. */
function runtime(file: string, ...words: string[]) {
  const program = path.resolve("compat", file);
  return (...main: readonly string[]) => {
    chmodSync(program, 0o755);
    return { program, words: [...words, ...main], cwd: run };
  };
}

/** What the engine does is the same everywhere. */
function engine(on: (main: string) => { program: string; words: readonly string[]; cwd: string }): void {
  const db = testDatabase();
  test("the engine: effects once, steps, sends, retries, batches, jobs, signatures, runDue", async () => {
    const { program, words, cwd } = on("engine.ts");
    const child = spawn(program, words, { cwd, env: { ...process.env, DATABASE_URL: db.url } });
    onTestFinished(() => void child.kill("SIGKILL"));
    let said = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (said += String(chunk)));
    const [code] = await once(child, "close");
    expect([code, said]).toEqual([0, expect.stringContaining("all of it held")]);
  });
}

describe("Node", () => engine((main) => ({ program: process.execPath, words: [main], cwd: run })));

withDeno("Deno", () => {
  const deno = runtime(DENO, "run", "--no-remote", "--no-prompt", "--allow-net", "--allow-env");
  engine(deno);
  // Deno 2.9: shutdown() takes the body away from requests that are still reading it.
  platformConformance("Deno", platformDatabase(), () => ({ ...deno("--check", "deno/main.ts"), givesUpHalf: true }));
});

withBun("Bun", () => {
  beforeAll(() => node("node_modules/typescript/bin/tsc", "-p", "compat/runtimes"));
  const bun = runtime(BUN, "run");
  engine(bun);
  platformConformance("Bun", platformDatabase(), () => bun("bun/main.ts"));
});
