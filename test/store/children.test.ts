// Parents and children at the same rows: who may write, who waits for whom, and who sees the last one end.
import { describe, expect, test } from "vitest";
import type { NewGroup } from "../../src/core/ports/children.ts";
import type { Claim, Claimed, Settlement, Store } from "../../src/core/ports/store.ts";
import { defaults } from "../../src/core/defaults.ts";
import { retireConsumer } from "../../src/store/read/consumers.ts";
import { made } from "../conformance/store.ts";
import { testDatabase } from "../support/instance.ts";
import { testStores } from "../support/store.ts";

const db = testDatabase();
const stores = testStores(db);
const LEASE_MS = 60_000;
const LIMITS = { idleMs: 10_000, lockMs: 5_000, statementMs: 10_000 };
const completed = (of: Claim): Settlement => ({ ...of, outcome: "completed", ranMs: 1 });
const state = async (of: Claim) =>
  (
    await db.rows<{ state: string; attempts: number; dueMs: number }>(
      `select state, attempts::int, extract(epoch from due_at - clock_timestamp())::float8 * 1000 as "dueMs"
       from nevertwice.delivery where id = $1`,
      [of.deliveryId],
    )
  )[0];
const group = (name: string, source: string, parent: Claim, size: number): NewGroup => ({
  name,
  key: `key of ${name}`,
  job: source,
  arrivals: Array.from({ length: size }, () => made(source, { headers: { parent: parent.messageId, group: name } })),
});
const block = (store: Store, of: Claim, groups: readonly NewGroup[], reason = "waits") =>
  store.children.block({ ...of, ranMs: 1, reruns: 0, reason }, groups, LEASE_MS, "w");
const claim = (store: Store, name: string, limit = 10) =>
  store.claim([{ consumer: name, limit, dueFrom: undefined }], LEASE_MS);

/** A delivery that waits for children, which are claimed. */
async function family(size: number) {
  const store = await stores.open();
  const [name, child] = [await stores.consumer(store), await stores.consumer(store)];
  const parent = await stores.one(store, name);
  expect(await block(store, parent, [group("g", child, parent, size)])).toEqual({ kind: "blocked" });
  const children = await claim(store, child);
  expect(children).toHaveLength(size);
  return { store, name, child, parent, children };
}

describe("a delivery that waits for its children", () => {
  test("is at a state that no claim, no takeover and no renewal looks at, and is looked at in time", async () => {
    const { store, name, parent } = await family(1);
    expect(await state(parent)).toMatchObject({ state: "blocked", attempts: 0 });
    expect((await state(parent))?.dueMs).toBeLessThanOrEqual(defaults.childrenLookMs);
    await db.rows("update nevertwice.delivery set due_at = clock_timestamp() - interval '1 hour' where id = $1", [
      parent.deliveryId,
    ]);
    expect(await claim(store, name)).toEqual([]);
    expect(await store.takeOver([name], LEASE_MS, "w")).toBeUndefined();
    expect(await store.renew([parent], LEASE_MS)).toEqual([parent]);
    expect(await store.settle([completed(parent)], "w")).toEqual(new Set());
    // A worker that has nothing else goes on looking.
    expect(await store.nextDueMs([name])).toBe(defaults.pollMs);
  });

  test("is due at once when the last child has ended, and not before", async () => {
    const { store, name, parent, children } = await family(2);
    const [one, two] = children as [Claimed, Claimed];
    await store.settle([completed(one)], "w");
    expect(await store.children.wake([parent.messageId])).toBe(0);
    await store.settle([{ ...two, outcome: "retry", delayMs: 0, error: "again", ranMs: 1 }], "w");
    expect(await store.children.wake([parent.messageId])).toBe(0);
    await store.cancel(two.messageId, "by hand");
    expect(await store.children.wake([parent.messageId, parent.messageId, two.messageId])).toBe(1);
    expect(await store.children.wake([parent.messageId])).toBe(0);
    expect(await claim(store, name)).toMatchObject([{ attempt: 1, messageId: parent.messageId }]);
  });

  test("of two children whose COMMITs cross, the second one's question finds none outstanding", async () => {
    const { store, parent, children } = await family(2);
    const [one, two] = children as [Claimed, Claimed];
    const [first, second] = [await store.begin(LIMITS, "w1"), await store.begin(LIMITS, "w2")];
    await first.settle([completed(one)]);
    await second.settle([completed(two)]);
    expect(await second.commit()).toBe("committed");
    expect(await store.children.wake([parent.messageId])).toBe(0);
    expect(await first.commit()).toBe("committed");
    const both = await Promise.all([store.children.wake([parent.messageId]), store.children.wake([parent.messageId])]);
    expect(both.toSorted()).toEqual([0, 1]);
  });

  // With `skip locked` the second question would have passed by a row that the first one holds and does not wake.
  test("a question waits for whoever holds the row", async () => {
    const { store, parent, children } = await family(1);
    await store.settle(children.map(completed), "w");
    const holder = await db.pool.connect();
    await holder.query("begin");
    await holder.query("select from nevertwice.delivery where id = $1 for update", [parent.deliveryId]);
    const woken = store.children.wake([parent.messageId]);
    await stores.blocked(1);
    await holder.query("rollback");
    holder.release();
    expect(await woken).toBe(1);
  });

  test("nobody told: whoever looks finds it, at its time; one with a child outstanding is put off until the next look", async () => {
    const { store, name, parent, children } = await family(1);
    const due = (sql: string) =>
      db.rows(`update nevertwice.delivery set due_at = clock_timestamp() + ${sql} where id = $1`, [parent.deliveryId]);
    await due("interval '-1 s'");
    expect(await store.children.look([name])).toBe(0);
    expect((await state(parent))?.dueMs).toBeGreaterThan(defaults.childrenLookMs / 2);
    await store.settle(children.map(completed), "w");
    expect(await store.children.look([name])).toBe(0);
    expect(await state(parent)).toMatchObject({ state: "blocked" });
    // The clock was set back.
    await due("interval '1 day'");
    expect(await store.children.look([name])).toBe(1);
    expect(await state(parent)).toMatchObject({ state: "waiting" });
  });

  test("its children's consumer is retired: they are cancelled, durably, and whoever looks finds the parent", async () => {
    const { store, name, child, parent, children } = await family(3);
    await store.settle([completed(children[0] as Claimed)], "w");
    const settings: unknown[] = [];
    const client = await db.pool.connect();
    await client.query("begin");
    const reader = {
      async query(text: string, values: readonly unknown[] = []) {
        await client.query("set local synchronous_commit = off");
        const result = await client.query(text, [...values]);
        settings.push((await client.query("show synchronous_commit")).rows[0].synchronous_commit);
        return result as any;
      },
    };
    expect(await retireConsumer(reader, child, "gone")).toBe(2);
    // The row of the consumer, the deliveries, and that there are no more.
    expect(settings).toEqual(["on", "on", "on"]);
    await client.query("commit");
    client.release();
    await db.rows("update nevertwice.delivery set due_at = clock_timestamp() where id = $1", [parent.deliveryId]);
    expect(await store.children.look([name])).toBe(1);
    const outcomes = await store.outcomes(children.map((one) => one.messageId));
    expect([...outcomes.values()].map((one) => one.kind).toSorted()).toEqual(["cancelled", "cancelled", "completed"]);
  });
});

describe("to wait", () => {
  test("takes the claim: a zombie enqueues nothing, and its successor is left as it is", async () => {
    const store = await stores.open();
    const [name, child] = [await stores.consumer(store), await stores.consumer(store)];
    const zombie = await stores.one(store, name, -1);
    const current = await store.takeOver([name], LEASE_MS, "w2");
    expect(await block(store, zombie, [group("g", child, zombie, 3)])).toEqual({ kind: "superseded" });
    expect(await claim(store, child)).toEqual([]);
    expect(await state(zombie)).toMatchObject({ state: "leased" });
    expect(await store.children.group(zombie, name, "g")).toBeUndefined();
    expect(current?.claim).not.toBe(zombie.claim);
  });

  test("is all or nothing: what fails on the way leaves no child, no group, and the claim", async () => {
    const store = await stores.open();
    const [name, child] = [await stores.consumer(store), await stores.consumer(store)];
    const parent = await stores.one(store, name);
    // The second group of this name is refused, after the children of the first were written.
    await expect(
      block(store, parent, [group("g", child, parent, 3), group("g", child, parent, 1)]),
    ).rejects.toMatchObject({
      code: "23505",
    });
    expect(await claim(store, child)).toEqual([]);
    expect(await store.children.group(parent, name, "g")).toBeUndefined();
    expect(await store.settle([completed(parent)], "w")).toEqual(new Set([parent.deliveryId]));
  });

  test("is recorded for new children, and else once for a reason", async () => {
    const { store, name, parent, children } = await family(1);
    await store.settle(children.map(completed), "w");
    await store.children.wake([parent.messageId]);
    for (const reason of ["waits", "waits", "otherwise"]) {
      const [again] = await claim(store, name);
      expect(await block(store, again as Claimed, [], reason)).toEqual({ kind: "blocked" });
      await store.children.wake([parent.messageId]);
    }
    const attempts = await db.rows(
      "select outcome, error, attempt::int from nevertwice.attempt where delivery_id = $1 order by ended_at",
      [parent.deliveryId],
    );
    expect(attempts).toEqual([
      { outcome: "interrupted", error: "waits", attempt: 1 },
      { outcome: "interrupted", error: "otherwise", attempt: 1 },
    ]);
  });

  test("belongs to a group's own name, wildcards in it included", async () => {
    const store = await stores.open();
    const [name, child] = [await stores.consumer(store), await stores.consumer(store)];
    const parent = await stores.one(store, name);
    await block(store, parent, [group("a_b", child, parent, 0), group("axb", child, parent, 1)]);
    expect(await store.children.group(parent, name, "a_b")).toMatchObject({ ids: [], outstanding: false });
    expect(await store.children.group(parent, name, "axb")).toMatchObject({ outstanding: true, job: child });
    expect(await store.children.group(parent, name, "%")).toBeUndefined();
  });
});

describe("a key that is unique for a while", () => {
  test("one that waits for its children has begun: it is neither replaced nor rescheduled", async () => {
    const nt = db.open();
    const job = nt.job("holds", {});
    const unique = (onConflict: "replace" | "reschedule") => ({ while: "outstanding", onConflict }) as const;
    const one = await job.enqueue(1, { key: "k", unique: unique("replace") });
    await db.rows("update nevertwice.delivery set state = 'blocked' where message_id = $1", [one.id]);
    for (const onConflict of ["replace", "reschedule"] as const) {
      expect(await job.enqueue(2, { key: "k", unique: unique(onConflict) })).toMatchObject({
        kind: "ignored",
        id: one.id,
      });
    }
    expect((await job.enqueue(2, { key: "k", unique: { while: "waiting" } })).kind).toBe("accepted");
    await db.rows("delete from nevertwice.delivery where message_id = $1", [one.id]);
  });
});
