/**
 * The command line. One table of commands feeds parsing, help and did-you-mean; each command is a file.
 * Exit codes: 0 fine, 1 something was found or failed, 2 the command line was wrong.
 */
import { parseArgs } from "node:util";
import { isFault } from "../core/errors.ts";
import { nearest } from "../core/nearest.ts";
import type { Command, Flags } from "./command.ts";
import { consumerCommand } from "./commands/consumer.ts";
import { doctor } from "./commands/doctor.ts";
import { list } from "./commands/list.ts";
import { migrate } from "./commands/migrate.ts";
import { post } from "./commands/post.ts";
import { replay } from "./commands/replay.ts";
import { scheduleCommand } from "./commands/schedule.ts";
import { show } from "./commands/show.ts";
import { start } from "./commands/start.ts";
import { timeline } from "./commands/timeline.ts";
import { verifyBooks } from "./commands/verify-books.ts";
import { plain } from "./print.ts";

export const commands: readonly Command[] = [
  start,
  migrate,
  doctor,
  list,
  show,
  replay,
  consumerCommand,
  timeline,
  scheduleCommand,
  post,
  verifyBooks,
];

/** Flags that every command takes. */
export const COMMON: Flags = {
  config: {
    type: "string",
    value: "file",
    about: "the file that exports the instance (default: nevertwice.config.ts)",
  },
  database: { type: "string", value: "url", about: "a PostgreSQL URL or embedded:<folder> (default: DATABASE_URL)" },
  schema: { type: "string", value: "name", about: "the schema of the tables (default: nevertwice)" },
  json: { type: "boolean", about: "machine-readable: one object, lists one object a line" },
  verbose: { type: "boolean", about: "errors with their stack" },
  help: { type: "boolean", short: "h", about: "this text" },
};

/** Runs one command line; the exit code. Never throws. */
export async function run(words: readonly string[]): Promise<number> {
  const [name, ...rest] = words;
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    console.log(overview());
    return name === undefined ? 2 : 0;
  }
  const command = commands.find((candidate) => candidate.name === name);
  if (command === undefined) {
    const near = nearest(
      name,
      commands.map((candidate) => candidate.name),
    );
    return misused(`there is no command \`${plain(name)}\`${near === undefined ? "" : `; did you mean \`${near}\`?`}`);
  }
  const flags: Flags = { ...command.flags, ...COMMON };
  let parsed: { values: Record<string, unknown>; positionals: string[] };
  try {
    const options = Object.fromEntries(
      Object.entries(flags).map(([flag, { type, short }]) => [flag, short === undefined ? { type } : { type, short }]),
    );
    parsed = parseArgs({ args: rest, options, allowPositionals: true, strict: true }) as typeof parsed;
  } catch (error) {
    const flag = /'-*([\w-]+)/.exec((error as Error).message)?.[1] ?? "";
    const near = nearest(flag, Object.keys(flags));
    const hint = near === undefined || near === flag ? "" : `; did you mean \`--${near}\`?`;
    return misused(`${(error as Error).message.split(". To specify")[0]}${hint}`);
  }
  if (parsed.values["help"] === true) {
    console.log(help(command, flags));
    return 0;
  }
  const [least, most] = command.words;
  if (parsed.positionals.length < least || parsed.positionals.length > most) {
    return misused(`usage: nevertwice ${command.usage}`);
  }
  try {
    return await command.run({ words: parsed.positionals, flags: parsed.values as never });
  } catch (error) {
    return failed(error, parsed.values["json"] === true, parsed.values["verbose"] === true);
  }
}

function misused(sentence: string): number {
  console.error(`nevertwice: ${sentence}\nTry: nevertwice help`);
  return 2;
}

function failed(error: unknown, json: boolean, verbose: boolean): number {
  if (verbose) console.error(error);
  else if (isFault(error)) {
    const { code, expected, got, next } = error;
    if (json) console.log(JSON.stringify({ error: { code, expected, got, next } }));
    else
      console.error(`${code}\n  expected  ${plain(expected)}\n  got       ${plain(got)}\n  next      ${plain(next)}`);
  } else console.error(`nevertwice: ${plain(error instanceof Error ? error.message : String(error))}`);
  return isFault(error, "NT_USAGE") ? 2 : 1;
}

function overview(): string {
  const width = Math.max(...commands.map((command) => command.usage.length));
  const rows = commands.map((command) => `  ${command.usage.padEnd(width)}  ${command.about}`);
  return [
    "nevertwice: at least once, never twice",
    "",
    ...rows,
    "",
    "nevertwice <command> --help shows its flags.",
  ].join("\n");
}

function help(command: Command, flags: Flags): string {
  const rows = Object.entries(flags).map(([flag, { value, about }]) => {
    const left = `--${flag}${value === undefined ? "" : ` <${value}>`}`;
    return `  ${left.padEnd(26)}  ${about}`;
  });
  return [`nevertwice ${command.usage}`, `  ${command.about}`, "", ...rows].join("\n");
}
