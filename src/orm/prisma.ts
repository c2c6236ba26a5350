import { fault } from "../core/errors.ts";
import type { HandlerTransaction } from "../core/ports/handle.ts";
import { HandedPool } from "./pool.ts";

/** The shape of Prisma's driver adapter for `pg` that is used. */
export interface AdapterFactory {
  connect(): Promise<object>;
}

interface Adapter {
  client?: unknown;
}

/** What went around the handler's transaction would find nobody there. */
const NOWHERE = { host: "127.0.0.1", port: 1, database: "nevertwice", user: "nevertwice" };

/**
 * A handler's `tx` as a Prisma client: what is written through it commits with the delivery, or not at all. `PrismaPg` is
 * the class of `@prisma/adapter-pg`, `make` makes your client on the adapter it is given:
 *
 *     const prisma = prismaTx(tx, PrismaPg, (adapter) => new PrismaClient({ adapter }));
 *
 * Make one for each delivery: a client stays bound to its transaction, and is disconnected when the handler has ended.
 * `$transaction` is a savepoint: what fails in it can be caught. `options` are those of `PrismaPg`.
 * Throws NT_TX_HANDLE, NT_TX_ENDED.
 */
export function prismaTx<Factory extends AdapterFactory, Client extends object>(
  tx: HandlerTransaction,
  PrismaPg: new (config: never, options?: never) => Factory,
  make: (adapter: Factory) => Client,
  options?: object,
): Client {
  const pool = new HandedPool(tx);
  const factory = new PrismaPg(NOWHERE as never, options as never);
  const adapter = Object.create(factory, {
    connect: {
      async value() {
        const made = (await factory.connect()) as Adapter;
        // It makes pools of its own, unless it is given one of the `pg` that it was installed with.
        if (!("client" in made))
          throw fault("NT_TX_HANDLE", { got: "an adapter of Prisma without a client to replace" });
        made.client = pool;
        return made;
      },
    },
  }) as Factory;
  const client = make(adapter);
  pool.onEnd(() => void disconnect(client));
  return client;
}

/** Else each client's query compiler stays in memory until the collector comes. */
async function disconnect(client: { $disconnect?(): Promise<unknown> }): Promise<void> {
  try {
    await client.$disconnect?.();
  } catch {
    // It has no connection of its own to leave behind.
  }
}
