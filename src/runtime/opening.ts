import { fault } from "../core/errors.ts";
import type { Logger } from "../core/ports/logger.ts";
import type { Store } from "../core/ports/store.ts";
import type { Database, NevertwiceOptions } from "./face.ts";

export type OpenStore = (
  database: Exclude<Database, Store>,
  options: { schema: string; logger: Logger; preparedStatements?: boolean },
) => Promise<Store>;

/** Opens the database, looks at how durable it is, and brings the schema up to date as `migrate` says. */
export async function opened(
  options: NevertwiceOptions,
  schema: string,
  logger: Logger,
  open: OpenStore,
): Promise<Store> {
  const given = typeof options.database === "function" ? options.database() : options.database;
  if (given === undefined || given === "") throw fault("NT_DATABASE_MISSING", { got: String(given) });
  const { preparedStatements } = options;
  const prepared = preparedStatements === undefined ? {} : { preparedStatements };
  const store = isStore(given) ? given : await open(given, { schema, logger, ...prepared });
  try {
    const durability = await store.inspect();
    if (durability.fsync !== "on" || durability.synchronousCommit === "off") {
      logger.warn(durability, "this server can lose what it has committed");
    }
    await store.migrate(options.migrate ?? (process.env["NODE_ENV"] === "production" ? "check" : "auto"));
  } catch (error) {
    if (!isStore(given)) await store.close();
    throw error;
  }
  return store;
}

function isStore(given: Database): given is Store {
  return typeof given === "object" && "takeOver" in given;
}
