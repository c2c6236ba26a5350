/** An error as the audit log keeps it: bounded, without NUL, which PostgreSQL's text cannot hold. */
export declare function describe(failure: unknown): string;
