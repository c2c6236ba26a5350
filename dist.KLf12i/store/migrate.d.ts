import type { Connections } from "./connections.ts";
export interface Migration {
    readonly number: number;
    readonly name: string;
    readonly text: string;
}
/** The migrations in their order, with the schema's quoted name in place of ours. */
export declare function migrations(schema: string): Promise<readonly Migration[]>;
/**
 * Applies what is missing, in one transaction under a lock, so that ten processes that start at once do it once.
 * Throws NT_SCHEMA_MISSING where something is missing and may not be applied, NT_SCHEMA_NEWER where the database is ahead.
 */
export declare function migrate(connections: Connections, schema: string, mode: "auto" | "check"): Promise<boolean>;
