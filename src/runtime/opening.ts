import { fault } from "../core/errors.ts";
import type { Logger } from "../core/ports/logger.ts";
import type { Store } from "../core/ports/store.ts";
import type { Consumer } from "./consumer.ts";
import type { Database, NevertwiceOptions } from "./face.ts";

export type OpenStore = (
  database: Exclude<Database, Store>,
  options: { schema: string; logger: Logger; preparedStatements?: boolean },
) => Promise<Store>;

/** The options of `new Nevertwice()`. */
export const OPTIONS = [
  "database",
  "schema",
  "migrate",
  "preparedStatements",
  "logger",
  "clock",
  "random",
  "leaseMs",
  "dedupeDays",
  "retainDays",
] as const;

/** The way from what was given as `database` to a store that is ready: at first use, and again after a failure. */
export class Opening {
  readonly #options: NevertwiceOptions;
  readonly #schema: string;
  readonly #logger: Logger;
  readonly #open: OpenStore;
  readonly #consumers: ReadonlyMap<string, Consumer>;
  #store: Promise<Store> | undefined;
  #undeclared = true;
  #declaring: Promise<void> | undefined;
  /** Once it is open. */
  opened: Store | undefined;

  constructor(
    options: NevertwiceOptions,
    schema: string,
    logger: Logger,
    open: OpenStore,
    consumers: ReadonlyMap<string, Consumer>,
  ) {
    this.#options = options;
    this.#schema = schema;
    this.#logger = logger;
    this.#open = open;
    this.#consumers = consumers;
  }

  /** A consumer came to them. */
  changed(): void {
    this.#undeclared = true;
  }

  /** Opens the database, brings the schema up to date as `migrate` says, and declares the consumers. */
  async ready(): Promise<Store> {
    this.#store ??= this.#connect();
    let store: Store;
    try {
      store = await this.#store;
    } catch (error) {
      // The next call tries again: a database that was away at start must not take the process with it.
      this.#store = undefined;
      throw error;
    }
    // Whoever comes while it is under way waits for it too: a message accepted before its consumer's row has no delivery.
    while (this.#undeclared || this.#declaring !== undefined) {
      await (this.#declaring ??= this.#declare(store).finally(() => (this.#declaring = undefined)));
    }
    return store;
  }

  async close(): Promise<void> {
    const store = await this.#store?.catch(() => undefined);
    await store?.close();
  }

  async #connect(): Promise<Store> {
    const given = typeof this.#options.database === "function" ? this.#options.database() : this.#options.database;
    if (given === undefined || given === "") throw fault("NT_DATABASE_MISSING", { got: String(given) });
    const { preparedStatements } = this.#options;
    const store = isStore(given)
      ? given
      : await this.#open(given, {
          schema: this.#schema,
          logger: this.#logger,
          ...(preparedStatements === undefined ? {} : { preparedStatements }),
        });
    try {
      const durability = await store.inspect();
      if (durability.fsync !== "on" || durability.synchronousCommit === "off") {
        this.#logger.warn(durability, "this server can lose what it has committed");
      }
      await store.migrate(this.#options.migrate ?? (process.env["NODE_ENV"] === "production" ? "check" : "auto"));
    } catch (error) {
      if (!isStore(given)) await store.close();
      throw error;
    }
    this.opened = store;
    return store;
  }

  async #declare(store: Store): Promise<void> {
    this.#undeclared = false;
    try {
      await store.declare([...this.#consumers.values()]);
    } catch (error) {
      this.#undeclared = true;
      throw error;
    }
  }
}

function isStore(given: Database): given is Store {
  return typeof given === "object" && "takeOver" in given;
}
