// `npm run example -- stock-update`: examples by their names, one after another; without a name it tells which there are.
import { readdirSync, readFileSync } from "node:fs";

const folder = new URL("../examples/", import.meta.url);
const there = readdirSync(folder)
  .filter((file) => file.endsWith(".ts") && file !== "quickstart.ts")
  .map((file) => file.slice(0, -3));
const names = process.argv.slice(2);
const unknown = names.filter((name) => !there.includes(name));

if (names.length > 0 && unknown.length === 0) {
  for (const name of names) await import(new URL(`${name}.ts`, folder).href);
} else {
  for (const name of unknown) console.error(`There is no example \`${name}\`. These are there:`);
  for (const name of there) {
    const first = readFileSync(new URL(`${name}.ts`, folder), "utf8").split("\n")[0] ?? "";
    console.log(`  ${name.padEnd(22)} ${first.replace(/^\/\/ /, "")}`);
  }
  process.exitCode = unknown.length === 0 ? 0 : 1;
}
