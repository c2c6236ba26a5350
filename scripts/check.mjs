// What must hold before a commit, cheapest first; stops at the first failure. `--fix` mends what can be mended.
import { spawnSync } from "node:child_process";

const fix = process.argv.includes("--fix");
const steps = [
  ["format", "oxfmt/bin/oxfmt", fix ? ["."] : ["--check", "."]],
  ["lint", "oxlint/bin/oxlint", ["--type-aware", "--deny-warnings", ...(fix ? ["--fix"] : [])]],
  ["types", "typescript/bin/tsc", ["-p", "tsconfig.json"]],
  ["unused", "knip/bin/knip.js", []],
  ["package", "publint/src/cli.js", ["--strict"]],
  ["exports", "@arethetypeswrong/cli/dist/index.js", ["--pack", ".", "--profile", "esm-only", "--quiet"]],
  ["tests", "vitest/vitest.mjs", ["run", "--project", "unit"]],
];
for (const [name, file, words] of steps) {
  const began = Date.now();
  const { status } = spawnSync(process.execPath, [`node_modules/${file}`, ...words], { stdio: "inherit" });
  console.log(`${status === 0 ? "ok" : "FAILED"} ${name} ${Date.now() - began} ms`);
  if (status !== 0) process.exit(1);
}
