// Compiles src to dist with plain tsc. Made beside its place and moved there, so that two builds at once do not mix.
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

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
