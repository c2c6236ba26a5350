// What a deploy is got wrong by: a process that knows the consumers by its own code.
import pg from "pg";
import type { PoolLike } from "../../src/index.ts";
import type { Canary } from "./canaries.ts";

const JOINED = "and c.retired_at is null";

/** A pool of the old version, whose accepting statement does not see the consumers that only the new one declares. */
function remembering(url: string): PoolLike {
  const pool = new pg.Pool({ connectionString: url, max: 20 });
  if (process.env["CHAOS_ROLE"] !== "old") return pool;
  const connect = pool.connect.bind(pool) as () => Promise<pg.PoolClient>;
  const watched = new WeakSet<pg.PoolClient>();
  return Object.assign(pool, {
    async connect() {
      const client = await connect();
      if (watched.has(client)) return client;
      watched.add(client);
      const query = client.query.bind(client) as (given: unknown) => unknown;
      return Object.assign(client, {
        query(given: string | { readonly text: string }) {
          if (typeof given === "string" || !given.text.startsWith("-- accept")) return query(given);
          if (!given.text.includes(JOINED)) throw new Error(`the accepting statement has no ${JOINED}`);
          return query({
            ...given,
            text: given.text.replace(JOINED, `${JOINED} and c.name not in ('audit', 'watch')`),
          });
        },
      });
    },
  });
}

export const deployCanaries = {
  remembered: {
    about: "an accepting process writes deliveries for the consumers of its own code, and not for those in the table",
    reasons: ["lost"],
    pool: remembering,
  },
} satisfies Record<string, Canary>;
