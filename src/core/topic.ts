import { fault } from "./errors.ts";

/** The source of messages that our own code sends. No inbox can take this name. */
export const OWN = "own";

/** The source of jobs, by the name of the job as their topic. No inbox can take this name either. */
export const JOBS = "job";

/**
 * What a consumer listens to: an exact topic, `prefix.*` for everything below a prefix, or `*` for all.
 * It is kept as a LIKE pattern in the consumer's row, because the accepting statement does the matching:
 * a process that imports no handlers must still write the deliveries.
 */
export function topicLike(pattern: string): string {
  if (pattern === "*") return "%";
  const prefix = pattern.endsWith(".*") ? pattern.slice(0, -1) : undefined;
  const text = prefix ?? pattern;
  if (text === "" || text.includes("*")) {
    throw fault("NT_OPTION", { expected: "a topic, `prefix.*`, or `*`", got: `\`${pattern}\`` });
  }
  const escaped = text.replace(/[\\%_]/g, (character) => `\\${character}`);
  return prefix === undefined ? escaped : `${escaped}%`;
}

const NAME = /^[\x21-\x7e]{1,200}$/;

/** Names of sources, topics, consumers and steps: printable, bounded, safe to show anywhere. */
export function checkName(what: string, name: unknown): string {
  if (typeof name !== "string" || !NAME.test(name)) {
    throw fault("NT_OPTION", {
      expected: `a ${what} of 1 to 200 printable characters without spaces`,
      got: typeof name === "string" ? JSON.stringify(name.slice(0, 60)) : String(name),
    });
  }
  return name;
}
