import type { Pool } from "pg";
import { fault } from "../core/errors.ts";
import type { Logger } from "../core/ports/logger.ts";
import type { Store } from "../core/ports/store.ts";
import type { PoolLike } from "./driver.ts";
import { PostgresStore } from "./postgres.ts";

/** Connections of a pool of our own: transactions of handlers, accepts, claims, settlements, steps, and LISTEN. */
const POOL = 20;

export interface OpenOptions {
  readonly schema: string;
  readonly logger: Logger;
  readonly preparedStatements?: boolean;
}

/**
 * Opens a store: on a pool that is given and stays its owner's, on a URL, or on the embedded server of a folder.
 * Throws NT_DRIVER_MISSING, NT_OPTION, and what startEmbedded throws.
 */
export async function openStore(database: string | PoolLike, options: OpenOptions): Promise<Store> {
  if (typeof database !== "string") return new PostgresStore(database, options);
  if (database.startsWith("embedded:")) {
    if (process.env["NODE_ENV"] === "production") {
      options.logger.warn({ database }, "the embedded database is for development: set DATABASE_URL");
    }
    const { startEmbedded } = await import("./embedded/server.ts");
    const server = await startEmbedded({ folder: database.slice("embedded:".length) || "./.nevertwice" });
    // Nothing stands between us and the embedded server.
    const preparedStatements = options.preparedStatements ?? true;
    return onUrl(server.socketUrl ?? server.url, { ...options, preparedStatements }, () => server.leave());
  }
  if (!/^postgres(?:ql)?:\/\//.test(database)) {
    throw fault("NT_OPTION", {
      expected: "a postgres:// URL or `embedded:<folder>` as database",
      got: `\`${database.slice(0, database.indexOf(":") + 1) || "text without a scheme"}\``,
    });
  }
  return onUrl(database, options, async () => {});
}

async function onUrl(connectionString: string, options: OpenOptions, leave: () => Promise<void>): Promise<Store> {
  let pg: { readonly Pool: typeof Pool };
  try {
    pg = (await import("pg")).default;
  } catch (cause) {
    throw fault("NT_DRIVER_MISSING", { got: "no package `pg`", cause });
  }
  // Pipelined: begin and its settings, a savepoint and the handler's first statement, travel together.
  const config = { connectionString, max: POOL, keepAlive: true, pipeline: true, connectionTimeoutMillis: 10_000 };
  const pool = new pg.Pool(config);
  const onClose = async (): Promise<void> => {
    await pool.end();
    await leave();
  };
  return new PostgresStore(pool, { ...options, onClose });
}
