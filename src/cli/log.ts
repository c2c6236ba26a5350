import { pino } from "pino";
import type { Logger } from "../core/ports/logger.ts";

/** Structured logs on stdout: one JSON object a line. Errors with their stack; secrets print themselves as "[secret]". */
export function processLogger(level: string): Logger {
  const log = pino({ level, base: { pid: process.pid }, serializers: { error: pino.stdSerializers.err } });
  return {
    debug: (fields, event) => log.debug(fields, event),
    info: (fields, event) => log.info(fields, event),
    warn: (fields, event) => log.warn(fields, event),
    error: (fields, event) => log.error(fields, event),
  };
}

/** For commands that look: what goes wrong comes back as an error. */
export const quiet: Logger = { debug() {}, info() {}, warn() {}, error() {} };
