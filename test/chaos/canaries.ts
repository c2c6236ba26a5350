// Each canary removes one guard, by a wrapper around a port, and must be caught for its reason. A harness that a canary
// survives proves nothing.
import pg from "pg";
import type { PoolLike } from "../../src/index.ts";
import type { Claim, Settlement, Store, Transaction } from "../../src/core/ports/store.ts";
import { bound } from "./failpoints.ts";
import { deployCanaries } from "./deploy-canaries.ts";
import { outboxCanaries } from "./outbox-canaries.ts";
import { scheduleCanaries } from "./schedule-canaries.ts";

export type Fault = "lost" | "doubled" | "newer-failed" | "uncommitted";

export interface Canary {
  readonly about: string;
  /** What it loses stays outstanding, and is not waited for as long as other work. */
  readonly leaves?: boolean;
  /** What it must be caught by. */
  readonly reasons: readonly Fault[];
  wrap?(store: Store): Store;
  pool?(url: string): PoolLike;
  /** Rewrites a statement, where a scenario's processes let it. */
  statement?(text: string): string;
}

function withTransactions(store: Store, wrap: (tx: Transaction) => Partial<Transaction>): Store {
  const { begin } = bound(store);
  return Object.assign(store, {
    async begin(...words: Parameters<Store["begin"]>) {
      const tx = await begin(...words);
      return Object.assign(tx, wrap(tx));
    },
  });
}

/** The claim that a delivery has now, whoever's it is. */
async function current<Held extends Claim>(store: Store, held: Held): Promise<Held> {
  const { rows } = await store.query<{ claim: string | null }>("select claim from nevertwice.delivery where id = $1", [
    held.deliveryId,
  ]);
  return { ...held, claim: rows[0]?.claim ?? held.claim };
}

export const canaries = {
  ...outboxCanaries,
  ...scheduleCanaries,
  ...deployCanaries,
  "settle-apart": {
    about: "the settlement commits apart from the effects, and after them",
    reasons: ["doubled"],
    wrap: (store) =>
      withTransactions(store, (tx) => {
        const commit = tx.commit.bind(tx);
        return {
          async settleAndCommit(all: readonly Settlement[]) {
            const committed = await commit();
            if (committed !== "committed") return committed;
            await new Promise((resolve) => setTimeout(resolve, 30));
            await store.settle(all, "canary");
            return "committed";
          },
        };
      }),
  },
  "early-2xx": {
    about: "2xx before COMMIT",
    reasons: ["lost"],
    wrap: (store) => {
      const { accept } = bound(store);
      return Object.assign(store, {
        accept: (all: Parameters<Store["accept"]>[0]) => {
          setTimeout(() => void accept(all).catch(() => {}), 30);
          return Promise.resolve(all.map((one) => ({ kind: "accepted" as const, id: one.id })));
        },
      });
    },
  },
  "2xx-on-unknown": {
    about: "2xx when the COMMIT was not answered",
    reasons: ["lost"],
    wrap: (store) => {
      const { accept } = bound(store);
      return Object.assign(store, {
        accept: (all: Parameters<Store["accept"]>[0]) =>
          accept(all).catch(() => all.map((one) => ({ kind: "accepted" as const, id: one.id }))),
      });
    },
  },
  "count-ignored": {
    about: "the row count of the settlement is not looked at",
    reasons: ["doubled"],
    wrap: (store) =>
      withTransactions(store, (tx) => ({
        async settleAndCommit(all: readonly Settlement[]) {
          await tx.settle(all);
          return tx.commit();
        },
      })),
  },
  "claim-taken-out": {
    about: "retry, step and extend name the delivery without its claim",
    reasons: ["newer-failed"],
    wrap: (store) => {
      const { settle, renew, beginStep, finishStep } = bound(store);
      const now = <Held extends Claim>(all: readonly Held[]): Promise<Held[]> =>
        Promise.all(all.map((one) => current(store, one)));
      return Object.assign(store, {
        settle: async (all: readonly Settlement[], worker: string) => settle(await now(all), worker),
        renew: async (all: readonly Claim[], leaseMs: number) => renew(await now(all), leaseMs),
        beginStep: async (one: Claim, name: string, key: string) => beginStep(await current(store, one), name, key),
        finishStep: async (one: Claim, name: string, outcome: { result: string } | { error: string }) =>
          finishStep(await current(store, one), name, outcome),
      });
    },
  },
  "plain-read": {
    about: "an unknown COMMIT is resolved by a plain read, and what that says is believed",
    reasons: ["doubled"],
    wrap(store) {
      const believed = new Set<string>();
      Object.assign(store, {
        async resolve(claims: readonly Claim[]) {
          const { rows } = await store.query("select id from nevertwice.delivery where id = any ($1::uuid[])", [
            claims.map((one) => one.deliveryId),
          ]);
          if (rows.length === 0) return { kind: "committed" as const };
          // "Still there, so it was not committed, and I still hold it": it runs again, and asks nobody when it settles.
          for (const one of claims) believed.add(one.claim);
          return { kind: "not-committed" as const, claims };
        },
      });
      return withTransactions(store, (tx) => {
        const settleAndCommit = tx.settleAndCommit.bind(tx);
        return {
          async settleAndCommit(all: readonly Settlement[]) {
            if (!all.some((one) => believed.has(one.claim))) return settleAndCommit(all);
            await tx.settle(all);
            return tx.commit();
          },
        };
      });
    },
  },
  "not-durable": {
    about: "synchronous_commit is off in the database, and not raised by the product",
    reasons: ["lost"],
    pool(url) {
      const pool = new pg.Pool({ connectionString: url, max: 20 });
      const connect = pool.connect.bind(pool) as () => Promise<pg.PoolClient>;
      const stripped = new WeakSet<pg.PoolClient>();
      return Object.assign(pool, {
        async connect() {
          const client = await connect();
          if (stripped.has(client)) return client;
          stripped.add(client);
          const query = client.query.bind(client) as (given: unknown) => unknown;
          return Object.assign(client, {
            query: (given: string | { text: string }) =>
              query(
                typeof given === "string"
                  ? given
                  : { ...given, text: given.text.replaceAll("set_config('synchronous_commit', 'on', true)", "null") },
              ),
          });
        },
      });
    },
  },
} satisfies Record<string, Canary>;

export type CanaryName = keyof typeof canaries;

export function canary(name: string | undefined): Canary | undefined {
  return name === undefined || name === "" ? undefined : canaries[name as CanaryName];
}
