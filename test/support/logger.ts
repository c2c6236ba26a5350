import type { Logger } from "../../src/core/ports/logger.ts";

/** Keeps what was logged, so that a test can ask, and shows nothing. */
export function keepingLogger(): Logger & { readonly lines: { level: string; event: string; fields: object }[] } {
  const lines: { level: string; event: string; fields: object }[] = [];
  const keep = (level: string) => (fields: object, event: string) => void lines.push({ level, event, fields });
  return { lines, debug: keep("debug"), info: keep("info"), warn: keep("warn"), error: keep("error") };
}
