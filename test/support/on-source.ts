// `node --import`: what imports nevertwice by its name gets the source, as in tests, and not a build that may be older.
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";

const root = new URL("../../", import.meta.url);
const { compilerOptions } = JSON.parse(readFileSync(new URL("tsconfig.json", root), "utf8")) as {
  compilerOptions: { paths: Record<string, readonly string[]> };
};
registerHooks({
  resolve(name, context, next) {
    const [source] = compilerOptions.paths[name] ?? [];
    return next(source === undefined ? name : new URL(source, root).href, context);
  },
});
