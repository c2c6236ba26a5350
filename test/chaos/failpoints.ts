// Named places where a fault hurts. The harness arms one; the first to reach it says so and stands still until it is
// killed, or released. Where a point knows whose it is, it can be armed for one message alone. They are made around the store's port: the product has no flags for them.
import type { Store } from "../../src/core/ports/store.ts";

export const POINTS = [
  "claimed",
  "started",
  "in-tx",
  "before-request",
  "after-request",
  "settled",
  "commit-sent",
] as const;
/** In the server that accepts. */
export const SERVER_POINTS = ["before-accept", "after-accept"] as const;
/** In a process that sends in transactions of its own. */
export const WRITER_POINTS = ["before-send", "sent", "before-commit", "committing"] as const;
/** In a process that decides a slot: before it, when the row is taken, when the messages are sent, at COMMIT and after it. */
export const SLOT_POINTS = ["slot-due", "slot-taken", "slot-sent", "slot-committing", "slot-committed"] as const;
export type Point =
  | (typeof POINTS)[number]
  | (typeof SERVER_POINTS)[number]
  | (typeof WRITER_POINTS)[number]
  | (typeof SLOT_POINTS)[number];

/** From the harness to a process. */
export type Order =
  | { readonly arm: Point; readonly of?: string | undefined }
  /** `frozen`: its process stood still meanwhile, and others took over what it had. */
  | { readonly release: true; readonly frozen?: boolean };
/** From a process to the harness. */
export type Report =
  | { readonly ready: true; readonly url?: string }
  | { readonly hit: Point; readonly of?: string | undefined }
  /** The result of a step is recorded: no request under its key may come after this. */
  | { readonly recorded: string }
  /** What a writer is about to send, and how its transaction was answered. */
  | { readonly offered: readonly string[] }
  | { readonly answered: readonly string[]; readonly as: Answered };

/** `failed`: COMMIT was never sent. `unknown`: it was, and not answered. */
export type Answered = "committed" | "rolled-back" | "failed" | "unknown";

export class Points {
  #armed: Point | undefined;
  #of: string | undefined;
  #release: ((frozen: boolean) => void) | undefined;

  constructor() {
    process.on("message", (order: Order) => {
      this.#armed = "arm" in order ? order.arm : undefined;
      this.#of = "arm" in order ? order.of : undefined;
      if ("release" in order) this.#release?.(order.frozen === true);
    });
  }

  isArmed(point: Point): boolean {
    return this.#armed === point;
  }

  /** Whether it stood here while its process was frozen. */
  async reach(point: Point, of?: string): Promise<boolean> {
    if (this.#armed !== point || (this.#of !== undefined && this.#of !== of)) return false;
    this.#armed = undefined;
    const released = new Promise<boolean>((resolve) => (this.#release = resolve));
    report({ hit: point, of });
    return released;
  }
}

export function report(what: Report): void {
  process.send?.(what);
}

/** The store with failpoints around claims and settlements, and with a report of each recorded step. */
export function withFailpoints(store: Store, points: Points): Store {
  const { accept, claim, begin, beginStep, finishStep } = bound(store);
  const keys = new Map<string, string>();
  return Object.assign(store, {
    async accept(...words: Parameters<Store["accept"]>) {
      await points.reach("before-accept");
      const accepted = await accept(...words);
      await points.reach("after-accept");
      return accepted;
    },
    async claim(...words: Parameters<Store["claim"]>) {
      const claimed = await claim(...words);
      if (claimed.length > 0) await points.reach("claimed");
      return claimed;
    },
    async begin(...words: Parameters<Store["begin"]>) {
      const tx = await begin(...words);
      const [settle, commit, settleAndCommit] = [tx.settle.bind(tx), tx.commit.bind(tx), tx.settleAndCommit.bind(tx)];
      return Object.assign(tx, {
        async settleAndCommit(all: Parameters<typeof settle>[0]) {
          if (points.isArmed("settled")) {
            const settled = await settle(all);
            await points.reach("settled");
            if (settled.size === all.length) return commit();
            await tx.rollback();
            return "rolled-back" as const;
          }
          const committed = settleAndCommit(all);
          await points.reach("commit-sent");
          return committed;
        },
      });
    },
    async beginStep(...words: Parameters<Store["beginStep"]>) {
      keys.set(`${words[0].claim} ${words[1]}`, words[2]);
      return beginStep(...words);
    },
    async finishStep(...words: Parameters<Store["finishStep"]>) {
      const done = await finishStep(...words);
      const key = keys.get(`${words[0].claim} ${words[1]}`);
      if (done && "result" in words[2] && key !== undefined) report({ recorded: key });
      return done;
    },
  });
}

/** The methods of a store as they are now, so that a wrapper can call what it replaces. */
export function bound(store: Store): Store {
  const methods: Record<string, unknown> = {};
  for (
    let proto: object | null = store;
    proto !== null && proto !== Object.prototype;
    proto = Object.getPrototypeOf(proto) as object | null
  ) {
    for (const name of Object.getOwnPropertyNames(proto)) {
      if (name in methods || name === "constructor") continue;
      const value: unknown = (store as unknown as Record<string, unknown>)[name];
      if (typeof value === "function") methods[name] = value.bind(store);
    }
  }
  return methods as unknown as Store;
}
