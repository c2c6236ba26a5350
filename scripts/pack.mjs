// The package as npm would publish it, unpacked as `nevertwice` into the node_modules of each folder that is named: what the tests
// of platforms run on. `node scripts/launch.mjs scripts/pack.mjs compat/frameworks`
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import path from "node:path";

const { version } = JSON.parse(readFileSync("package.json", "utf8"));
for (const folder of process.argv.slice(2)) {
  const modules = path.resolve(folder, "node_modules");
  mkdirSync(modules, { recursive: true });
  const draft = mkdtempSync(path.join(modules, ".nevertwice-"));
  run("npm", ["pack", "--ignore-scripts", "--silent", "--pack-destination", draft]);
  run("tar", ["-xzf", path.join(draft, `nevertwice-${version}.tgz`), "-C", draft]);
  rmSync(path.join(modules, "nevertwice"), { recursive: true, force: true });
  renameSync(path.join(draft, "package"), path.join(modules, "nevertwice"));
  rmSync(draft, { recursive: true });
}

function run(program, words) {
  const { status, error } = spawnSync(program, words, { stdio: ["ignore", "ignore", "inherit"] });
  if (status !== 0) throw error ?? new Error(`${program} ${words.join(" ")} ended with ${status}`);
}
