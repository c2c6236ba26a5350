// Runs the tests; words are passed on to vitest. NT_REPORT names a file for the runner's JSON report.
import { spawnSync } from "node:child_process";

const report = process.env.NT_REPORT;
const reporters = report ? ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`] : [];
const words = ["node_modules/vitest/vitest.mjs", "run", ...reporters, ...process.argv.slice(2)];
process.exit(spawnSync(process.execPath, words, { stdio: "inherit" }).status ?? 1);
