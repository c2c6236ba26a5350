// What every process under chaos does first.
import type { Nevertwice } from "../../src/index.ts";
import type { Logger } from "../../src/core/ports/logger.ts";
import type { Store } from "../../src/core/ports/store.ts";
import { openStore } from "../../src/store/open.ts";
import { PostgresStore } from "../../src/store/postgres.ts";
import { canary } from "./canaries.ts";

/** The store of a process, without the guard that its canary removes. */
export async function chaosStore(
  options: { readonly schema: string; readonly logger: Logger } & {
    readonly pool?: ((url: string) => ConstructorParameters<typeof PostgresStore>[0]) | undefined;
  },
): Promise<Store> {
  const { CHAOS_URL = "", CHAOS_CANARY } = process.env;
  const removed = canary(CHAOS_CANARY);
  const pool = (removed?.pool ?? options.pool)?.(CHAOS_URL);
  const opened = pool === undefined ? await openStore(CHAOS_URL, options) : new PostgresStore(pool, options);
  return removed?.wrap?.(opened) ?? opened;
}

/** A database that is away at the start is no reason to end: the harness has just killed it. */
export async function comesUp(nt: Nevertwice): Promise<void> {
  process.once("disconnect", () => process.exit(0));
  for (let tries = 0; ; tries++) {
    try {
      await nt.ready();
      return;
    } catch (error) {
      if (tries === 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
