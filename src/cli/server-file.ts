// Where a running server is found by `post`: .nevertwice/server.json, readable by its owner alone.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const FILE = ".nevertwice/server.json";

export interface ServerFile {
  readonly url: string;
  readonly pid: number;
  /** The demo's, so that test events can be signed. A server of yours writes none. */
  readonly secrets?: Readonly<Record<string, string>>;
}

export function readServerFile(): ServerFile | undefined {
  try {
    return JSON.parse(readFileSync(FILE, "utf8")) as ServerFile;
  } catch {
    return undefined;
  }
}

export function writeServerFile(content: ServerFile): void {
  mkdirSync(".nevertwice", { recursive: true });
  writeFileSync(FILE, `${JSON.stringify(content)}\n`, { mode: 0o600 });
}

export function removeServerFile(): void {
  if (readServerFile()?.pid === process.pid) rmSync(FILE, { force: true });
}
