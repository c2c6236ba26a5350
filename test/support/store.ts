import { randomBytes } from "node:crypto";
import { afterEach } from "vitest";
import type { Claimed, Store } from "../../src/core/ports/store.ts";
import { openStore } from "../../src/store/open.ts";
import { made } from "../conformance/store.ts";
import { until } from "./database.ts";
import type { TestDatabase } from "./instance.ts";
import { keepingLogger } from "./logger.ts";

export interface TestStores {
  /** A store of its own pool; closed after the test. */
  open(): Promise<Store>;
  /** A consumer that takes all of a source of its name. */
  consumer(store: Store): Promise<string>;
  /** A delivery, claimed; with a negative lease one whose lease has ended. */
  one(store: Store, name: string, leaseMs?: number): Promise<Claimed>;
  /** Waits until so many sessions of ours wait for a lock. */
  blocked(sessions: number): Promise<void>;
}

/** Stores on a test file's database, for stories that need two sessions at the same row. */
export function testStores(db: TestDatabase): TestStores {
  const opened: Store[] = [];
  let migrated: Promise<void> | undefined;
  afterEach(async () => void (await Promise.all(opened.splice(0).map((store) => store.close()))));
  return {
    async open() {
      const store = await openStore(db.url, { schema: "nevertwice", logger: keepingLogger() });
      opened.push(store);
      await store.inspect();
      await (migrated ??= store.migrate("auto"));
      return store;
    },
    async consumer(store) {
      const name = `c-${randomBytes(4).toString("hex")}`;
      await store.declare([{ name, source: name, topic: "*", topicLike: "%" }]);
      return name;
    },
    async one(store, name, leaseMs = 60_000) {
      await store.accept([made(name)]);
      const [claimed] = await store.claim([{ consumer: name, limit: 1, dueFrom: undefined }], leaseMs);
      if (claimed === undefined) throw new Error("nothing was claimed");
      return claimed;
    },
    blocked(sessions) {
      const waiting = async (): Promise<boolean> => {
        const [row] = await db.rows<{ n: number }>(
          "select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        );
        return row?.n === sessions;
      };
      return until(`${sessions} wait for a lock`, waiting);
    },
  };
}
