// `npm run example -- stock-update`: one of the examples, by its name; without a name it tells which there are.
import { readdirSync, readFileSync } from "node:fs";

const folder = new URL("../examples/", import.meta.url);
const names = readdirSync(folder)
  .filter((file) => file.endsWith(".ts") && file !== "quickstart.ts")
  .map((file) => file.slice(0, -3));
const name = process.argv[2];

if (name !== undefined && names.includes(name)) await import(new URL(`${name}.ts`, folder).href);
else {
  if (name !== undefined) console.error(`There is no example \`${name}\`. These are there:`);
  for (const one of names) {
    const first = readFileSync(new URL(`${one}.ts`, folder), "utf8").split("\n")[0] ?? "";
    console.log(`  ${one.padEnd(22)} ${first.replace(/^\/\/ /, "")}`);
  }
  process.exitCode = name === undefined ? 0 : 1;
}
