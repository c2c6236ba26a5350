import { describe, expect, test } from "vitest";
import type { Clock } from "../../src/core/ports/clock.ts";
import { arrival } from "../../src/runtime/arrival.ts";
import { systemClock, systemRandom } from "../../src/runtime/system.ts";
import { made } from "../conformance/store.ts";
import { testDatabase } from "../support/instance.ts";
import { testStores } from "../support/store.ts";

const db = testDatabase();
const stores = testStores(db);
const WEEK_MS = 7 * 86_400_000;

describe("accepting in several processes at once", () => {
  // Overlapping batches that offered their keys in any order deadlocked in 3 of 20 rounds; and dedupe by look-then-insert let
  // copies through that came at the same moment (frain-dev/convoy#1833). Keys go in sorted by their hash, and the ledger decides.
  test("the same keys in any order: no deadlock, and each key accepted once", async () => {
    const all = await Promise.all(Array.from({ length: 6 }, () => stores.open()));
    const name = await stores.consumer(all[0] as (typeof all)[0]);
    for (let round = 0; round < 8; round++) {
      const keys = Array.from({ length: 100 }, (_, i) => `${round}-${i}`);
      const outcomes = await Promise.all(
        all.map((store, i) => {
          const turned = i % 2 === 0 ? keys : [...keys].reverse();
          return store.accept(turned.map((key) => made(name, { key })));
        }),
      );
      expect(outcomes.flat().filter((one) => one.kind === "accepted")).toHaveLength(100);
    }
    expect(await db.rows("select from nevertwice.delivery")).toHaveLength(800);
  });

  // A ledger in partitions took the same key in on both sides of a rotation. There is one ledger, whatever week the ids say.
  test("a copy that comes in another week than the first is a copy", async () => {
    const store = await stores.open();
    const name = await stores.consumer(store);
    const at = (agoMs: number) => {
      const clock: Clock = { ...systemClock, now: () => Date.now() - agoMs };
      const body = Buffer.from("{}");
      const parcel = { tenant: "", source: name, key: "k", topic: "t", headers: {}, body, comparable: body };
      return arrival(parcel, clock, systemRandom);
    };
    const kinds = [];
    for (const agoMs of [2 * WEEK_MS, WEEK_MS, 0, -WEEK_MS]) {
      const [one] = await store.accept([at(agoMs)]);
      kinds.push(one?.kind);
    }
    expect(kinds).toEqual(["accepted", "duplicate", "duplicate", "duplicate"]);
  });
});

describe("the ledger of keys", () => {
  // A ledger that is emptied at one end and filled at the other grew without end elsewhere. Ours is deleted a few blocks at a
  // time, and random keys refill the space: after two full turnovers the heap was 12 % larger.
  test("is pruned in small pieces, and two turnovers leave it as large as it was", async () => {
    const store = await stores.open();
    await db.pool.query("truncate nevertwice.ledger");
    const rows = 60_000;
    const fill = (): Promise<unknown> =>
      db.pool.query(
        "insert into nevertwice.ledger select gen_random_uuid(), gen_random_uuid(), '00000001-0000-7000-8000-000000000000' from generate_series(1, $1)",
        [rows],
      );
    const count = async () =>
      (await db.rows<{ n: number }>("select count(*)::int as n from nevertwice.ledger"))[0]?.n ?? -1;
    const blocks = async () =>
      (await db.rows<{ n: number }>("select (pg_relation_size('nevertwice.ledger') / 8192)::int as n"))[0]?.n ?? -1;
    await fill();
    const first = await blocks();
    expect(first).toBeGreaterThan(500);
    await store.tidy({ dedupeDays: 45, retainDays: 45 });
    // One piece: neither nothing nor all.
    expect(await count()).toBeGreaterThan(0);
    expect(await count()).toBeLessThan(rows);
    for (let turnover = 0; turnover < 2; turnover++) {
      for (let i = 0; i < 8 && (await count()) > 0; i++) await store.tidy({ dedupeDays: 45, retainDays: 45 });
      expect(await count()).toBe(0);
      // What autovacuum does; here it cannot wait. Without truncation, as under load, where the end of the table is never free.
      await db.pool.query("vacuum (truncate false) nevertwice.ledger");
      await fill();
    }
    expect(await blocks()).toBeLessThan(first * 1.15);
  });
});
