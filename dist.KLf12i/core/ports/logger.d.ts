/** Structured logs: one event name and its fields. pino fits; so does console through a small wrapper. */
export interface Logger {
    debug(fields: object, event: string): void;
    info(fields: object, event: string): void;
    warn(fields: object, event: string): void;
    error(fields: object, event: string): void;
}
