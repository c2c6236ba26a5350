import { existsSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { fault } from "../core/errors.ts";
import type { Logger } from "../core/ports/logger.ts";
import type { Store } from "../core/ports/store.ts";
import { Nevertwice } from "../index.ts";
import type { Runtime } from "../runtime/nevertwice.ts";
import { openStore } from "../store/open.ts";
import { type Given, text } from "./command.ts";
import { quiet } from "./log.ts";

const CONFIGS = ["nevertwice.config.ts", "nevertwice.config.mts", "nevertwice.config.js", "nevertwice.config.mjs"];
const DEFAULT_DATABASE = "embedded:./.nevertwice";

/** The instance that a config file exports, or undefined where there is none. Throws NT_CONFIG. */
export async function configured(given: Given): Promise<Runtime | undefined> {
  const named = text(given, "config");
  const file = named ?? CONFIGS.find((candidate) => existsSync(candidate));
  if (file === undefined) return undefined;
  const whole = path.resolve(file);
  if (!existsSync(whole)) throw fault("NT_CONFIG", { got: `no file ${file}` });
  let loaded: { default?: unknown; nt?: unknown };
  try {
    loaded = (await import(pathToFileURL(whole).href)) as { default?: unknown; nt?: unknown };
  } catch (cause) {
    throw fault("NT_CONFIG", { got: `${file}: ${cause instanceof Error ? cause.message : String(cause)}`, cause });
  }
  const instance = loaded.default ?? loaded.nt;
  // By shape: the config's own copy of the package may be another file than this one.
  if (typeof instance === "object" && instance !== null && "inboxes" in instance && "ready" in instance) {
    return instance as Runtime;
  }
  throw fault("NT_CONFIG", {
    got: `${file}, whose default export is ${instance === undefined ? "missing" : typeof instance}`,
  });
}

export function database(given: Given): string {
  const url = text(given, "database") ?? process.env["DATABASE_URL"];
  return url === undefined || url === "" ? DEFAULT_DATABASE : url;
}

/**
 * The database alone, for looking and acting: nothing is declared, started or migrated, and the embedded server is left
 * as it was found. Throws NT_SCHEMA_MISSING where the tables are not there.
 */
export async function withStore<Result>(given: Given, work: (store: Store) => Promise<Result>): Promise<Result> {
  const store = await openStore(database(given), { schema: text(given, "schema") ?? "nevertwice", logger: quiet });
  try {
    await store.migrate("check");
    return await work(store);
  } finally {
    await store.close();
  }
}

/** An instance without a config file. */
export function bare(given: Given, logger: Logger): Nevertwice {
  const schema = text(given, "schema");
  return new Nevertwice({ database: database(given), logger, ...(schema === undefined ? {} : { schema }) });
}
