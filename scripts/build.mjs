// Compiles src to dist with plain tsc. Made beside its place and moved there, so that two builds at once do not mix.
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const draft = mkdtempSync(path.resolve("dist."));
const tsc = path.resolve("node_modules/typescript/bin/tsc");
const compiled = spawnSync(process.execPath, [tsc, "-p", "tsconfig.build.json", "--outDir", draft], {
  stdio: "inherit",
});
if (compiled.status !== 0) {
  rmSync(draft, { recursive: true, force: true });
  process.exit(compiled.status ?? 1);
}
cpSync("src/store/migrations", path.join(draft, "store/migrations"), { recursive: true });
// A bundler leaves the files behind: their text goes into the module that reads them.
const { migrationFiles } = await import(pathToFileURL(path.join(draft, "store/migration-files.js")).href);
const held = JSON.stringify(await migrationFiles(), undefined, 1);
writeFileSync(
  path.join(draft, "store/migration-files.js"),
  `const files = ${held};\nexport async function migrationFiles() {\n  return files;\n}\n`,
);
rmSync(path.join(draft, "store/migration-files.js.map"));
chmodSync(path.join(draft, "cli/main.js"), 0o755);
writeFileSync(path.join(draft, ".stamp"), process.argv[2] ?? "");
chmodSync(draft, 0o755);
rmSync("dist", { recursive: true, force: true });
try {
  renameSync(draft, "dist");
} catch {
  // Another build was quicker.
  rmSync(draft, { recursive: true, force: true });
}
