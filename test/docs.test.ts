// What the documents show is true: their TypeScript compiles against the source, and the commands that they name are there.
// Their SQL, and the examples that are whole, run in test/examples/docs.test.ts. Names that a fragment takes as given are
// declared in test/docs/<document>.ts.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { commands, COMMON } from "../src/cli/run.ts";
import { type Block, blocks, commandLines, documents, read, spans } from "./support/documents.ts";

const cache = path.resolve("node_modules/.cache");
mkdirSync(cache, { recursive: true });
const folder = mkdtempSync(path.join(cache, "docs-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Blocks that are not compiled, each with its reason. Few: an example that does not compile is no example. */
const MOST_UNCHECKED = 0;

/** The names that a document's fragments take as given, as an import of those that the block does not make itself. */
function given({ file, text }: Block): string {
  const prelude = `test/docs/${path.basename(file, ".md")}.ts`;
  if (!existsSync(prelude)) return "export {};";
  const own = new Set(
    [
      ...text.matchAll(/^(?:export )?(?:const|function|interface|class|type|import) ([^=;]+?)(?: = | from |\()/gm),
    ].flatMap((match) => match[1]?.match(/\w+/g) ?? []),
  );
  const names: string[] = [];
  for (const [, type, name = ""] of read(prelude).matchAll(
    /^export (?:declare )?(interface |type )?(?:const |function )?(\w+)/gm,
  ))
    if (!own.has(name)) names.push(type === undefined ? name : `type ${name}`);
  for (const [, listed = ""] of read(prelude).matchAll(/^export \{(.+)\} from/gm))
    names.push(
      ...listed
        .split(",")
        .map((name) => name.trim())
        .filter((name) => !own.has(name)),
    );
  return `import { ${names.join(", ")} } from "${path.relative(folder, prelude)}";`;
}

/** One run of the compiler over all of them. Their faults, by the place in the document. */
function compile(shown: readonly Block[]): readonly string[] {
  const placed = new Map(shown.map((block) => [`${block.file.replaceAll(/\W/g, "-")}-${block.line}.ts`, block]));
  // On one line, so that lines are counted as in the document.
  for (const [name, block] of placed) writeFileSync(path.join(folder, name), `${given(block)} ${block.text}\n`);
  const config = { extends: path.resolve("tsconfig.json"), files: [...placed.keys()], include: [] };
  writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify(config));
  const words = [path.resolve("node_modules/typescript/bin/tsc"), "-p", folder, "--pretty", "false"];
  const { stdout, status } = spawnSync(process.execPath, words, { encoding: "utf8" });
  const faults = stdout.split(/\n(?=\S)/).filter((line) => line !== "");
  if (status !== 0 && faults.length === 0) throw new Error("the compiler failed without a word");
  return faults.map((line) => {
    const [, name = "", at, rest] = /^(?:.*\/)?([\w-]+\.ts)\((\d+),\d+\): ([\s\S]*)$/.exec(line) ?? [];
    const block = placed.get(name);
    return block === undefined ? line : `${block.file}:${block.line + Number(at) - 1}: ${rest}`;
  });
}

/** Its blocks are those of examples on frameworks that are not installed here; test/platforms builds and runs them. */
const ELSEWHERE = "docs/platforms.md";

describe("TypeScript", () => {
  const all = blocks("ts").filter(({ file }) => file !== ELSEWHERE);
  const unchecked = all.filter((block) => block.unchecked !== undefined);

  // In the same run, for want of a second: the compiler is at work.
  const wrong = {
    file: "docs/none.md",
    line: 7,
    language: "ts",
    unchecked: undefined,
    text: 'import type { Nevertwice } from "nevertwice";\nexport const from = (nt: Nevertwice) => nt.job("report", { cron: "0 2 * * *" });',
  };
  let faults: readonly string[];
  beforeAll(() => {
    faults = compile([...all.filter((block) => block.unchecked === undefined), wrong]);
  });

  test("compiles against the source, every block of every document", () => {
    expect(all.length).toBeGreaterThan(8);
    expect(faults.filter((fault) => !fault.startsWith(wrong.file))).toEqual([]);
  });

  test("is compiled: a fault is found, and named by its place in the document", () => {
    expect(faults).toContainEqual(
      expect.stringMatching(/^docs\/none\.md:8: error TS\d+: [\s\S]*'cron' does not exist/),
    );
  });

  test("is left out rarely", () => {
    expect(unchecked.length).toBeLessThanOrEqual(MOST_UNCHECKED);
  });
});

describe("the command line", () => {
  const named = commandLines();
  const flagsOf = (name: string): readonly string[] =>
    Object.keys({ ...commands.find((command) => command.name === name)?.flags, ...COMMON });
  const flagsIn = (words: readonly string[]): string[] =>
    words.flatMap((word) => /^\[?--([a-z-]+)/.exec(word)?.[1] ?? []);

  test("commands and flags that documents name are there", () => {
    const ours = named.filter(({ words }) => words[0] === "nevertwice");
    expect(ours.length).toBeGreaterThan(9);
    for (const { file, words } of ours) {
      const [, name = "", verb = ""] = words;
      const shown = `${file}: ${words.join(" ")}`;
      if (/^[<-]/.test(name)) continue;
      const command = commands.find((one) => one.name === name);
      expect(command, shown).toBeDefined();
      // Where a command has verbs its usage names them all.
      const verbs = [...(command?.usage ?? "").matchAll(new RegExp(`\\b${name} ([a-z|]+)(?= |$)`, "g"))];
      if (verbs.length > 0 && /^[a-z]/.test(verb)) {
        const there = verbs.flatMap((match) => match[1]?.split("|") ?? []);
        for (const one of verb.split("|")) expect(there, shown).toContain(one);
      }
      for (const flag of flagsIn(words)) expect(flagsOf(name), shown).toContain(flag);
    }
  });

  test("docs/cli.md has every command, with flags that it has, and all of them", () => {
    const rows = [...read("docs/cli.md").matchAll(/^\| (`.+?) \| .+ \|$/gm)].map((match) => match[0]);
    for (const { name, flags } of commands) {
      const row = rows.find((one) => one.startsWith(`| \`${name}`)) ?? "";
      expect(row, name).not.toBe("");
      const shown = [...row.matchAll(/--([a-z][a-z-]+)/g)].map((match) => match[1] ?? "");
      for (const flag of shown) expect(flagsOf(name), `docs/cli.md, ${name}`).toContain(flag);
      for (const flag of Object.keys(flags)) expect(shown, `docs/cli.md, ${name} without --${flag}`).toContain(flag);
    }
    expect(rows.length).toBe(commands.length);
  });

  test("scripts that documents name are there, with their flags", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    for (const { file, words } of named.filter((one) => one.words[0] === "npm")) {
      const shown = `${file}: ${words.join(" ")}`;
      const [, verb = "", ...rest] = words.filter((word) => word !== "-s");
      if (["ci", "install", "pack"].includes(verb)) continue;
      const script = verb === "run" ? (rest[0] ?? "") : verb;
      expect(Object.keys(scripts), shown).toContain(script);
      const source = read(scripts[script]?.split(" ").at(-1) ?? "");
      for (const flag of flagsIn(rest)) expect(source, `${shown}: --${flag}`).toContain(flag);
    }
  });

  test("error codes that documents name are in the catalogue", () => {
    const catalogue = read("src/core/catalogue.ts");
    for (const file of documents)
      for (const [code] of read(file).matchAll(/\bNT_[A-Z_]+\b/g))
        expect(
          catalogue.includes(`  ${code}: {`) || /^NT_(?:EXPECT|REPORT|SERVER_ONLY)$/.test(code),
          `${file}: ${code}`,
        ).toBe(true);
  });

  test("spans are found: the reading above is not of nothing", () => {
    expect(spans("docs/cli.md")).toContain("--json");
  });
});
