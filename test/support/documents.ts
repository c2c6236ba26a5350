// The documents and what they show: blocks of code by language, and commands wherever they stand.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

export interface Block {
  readonly file: string;
  /** Of its first line of code, from 1. */
  readonly line: number;
  readonly language: string;
  readonly text: string;
  /** Why it is not checked, from a comment `<!-- not checked: … -->` in the line before it. */
  readonly unchecked: string | undefined;
}

export const documents: readonly string[] = [
  "README.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  "bench/README.md",
  "examples/README.md",
  ...readdirSync("docs")
    .filter((file) => file.endsWith(".md"))
    .map((file) => path.posix.join("docs", file)),
];

export const read = (file: string): string => readFileSync(file, "utf8");

/** All blocks of all documents, or those of a language. */
export function blocks(language?: string): Block[] {
  const found: Block[] = [];
  for (const file of documents) {
    const lines = read(file).split("\n");
    for (let at = 0; at < lines.length; at++) {
      const opened = /^```(\w*)$/.exec(lines[at] ?? "");
      if (opened === null) continue;
      const end = lines.indexOf("```", at + 1);
      if (end < 0) throw new Error(`${file}:${at + 1}: a block that does not end`);
      const unchecked = /^<!-- not checked: (.+) -->$/.exec(lines[at - 1] ?? "")?.[1];
      const text = lines.slice(at + 1, end).join("\n");
      found.push({ file, line: at + 2, language: opened[1] ?? "", text, unchecked });
      at = end;
    }
  }
  return language === undefined ? found : found.filter((block) => block.language === language);
}

/** What stands between single backticks, outside of blocks. */
export function spans(file: string): string[] {
  const prose = read(file).replaceAll(/^```[\s\S]*?^```$/gm, "");
  return [...prose.matchAll(/`([^`\n]+)`/g)].map((match) => (match[1] ?? "").replaceAll("\\|", "|"));
}

/** Every command line that a document shows: in blocks of sh, after `$ `, and between backticks. */
export function commandLines(): { readonly file: string; readonly words: readonly string[] }[] {
  const lines: { file: string; text: string }[] = [];
  for (const { file, language, text } of blocks()) {
    for (const line of text.split("\n")) {
      if (language === "sh") lines.push({ file, text: line });
      else if (language === "" && line.startsWith("$ ")) lines.push({ file, text: line.slice(2) });
    }
  }
  for (const file of documents) for (const text of spans(file)) lines.push({ file, text });
  return lines
    .flatMap(({ file, text }) => text.split("&&").map((part) => ({ file, words: part.trim().split(/\s+/) })))
    .map(({ file, words }) => ({ file, words: words[0] === "npx" ? words.slice(1) : words }))
    .filter(({ words }) => ["nevertwice", "npm"].includes(words[0] ?? "") && words.length > 1);
}
