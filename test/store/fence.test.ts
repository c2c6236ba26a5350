import pg from "pg";
import { describe, expect, test } from "vitest";
import type { Claim, Settlement } from "../../src/core/ports/store.ts";
import { defaults } from "../../src/core/defaults.ts";
import { PostgresStore } from "../../src/store/postgres.ts";
import { until } from "../support/database.ts";
import { testDatabase } from "../support/instance.ts";
import { keepingLogger } from "../support/logger.ts";
import { testStores } from "../support/store.ts";

const db = testDatabase();
const stores = testStores(db);
const LEASE_MS = 60_000;
const LIMITS = { idleMs: 10_000, lockMs: 5_000, statementMs: 10_000 };
const completed = (of: Claim): Settlement => ({ ...of, outcome: "completed", ranMs: 1 });
const delivery = async (id: string) =>
  (
    await db.rows<{ state: string; claim: string | null; dueMs: number }>(
      `select state, claim, extract(epoch from due_at - clock_timestamp())::float8 * 1000 as "dueMs"
       from nevertwice.delivery where id = $1`,
      [id],
    )
  )[0];

describe("a zombie", () => {
  // With the attempt's number as the fence, a renewal that was on its way when its handler asked for an hour's pause found
  // its number still there, and the hour became fifteen seconds. The claim is cleared by every settlement, a retry included.
  test("that renews late leaves a Retry-After of an hour an hour", async () => {
    const store = await stores.open();
    const mine = await stores.one(store, await stores.consumer(store));
    await store.settle([{ ...mine, outcome: "retry", delayMs: 3_600_000, error: "later", ranMs: 1 }], "w");
    expect(await store.renew([mine], 15_000)).toEqual([mine]);
    expect(await delivery(mine.deliveryId)).toMatchObject({ state: "retrying", claim: null });
    expect((await delivery(mine.deliveryId))?.dueMs).toBeGreaterThan(3_500_000);
  });

  // A stale worker's shutdown gave back what it believed to hold, and so failed the newer attempt (timgit/pg-boss#890).
  test("that shuts down gives back nothing: the newer execution keeps its claim", async () => {
    const store = await stores.open();
    const name = await stores.consumer(store);
    const zombie = await stores.one(store, name, -1);
    const current = await store.takeOver([name], LEASE_MS, "w2");
    expect(await store.settle([{ ...zombie, outcome: "interrupted", ranMs: 1 }], "w1")).toEqual(new Set());
    expect(await delivery(zombie.deliveryId)).toMatchObject({ state: "leased", claim: current?.claim });
  });

  // `insert … where exists (select from delivery where id and claim)` looks at its snapshot: a takeover that has not committed
  // yet is not in it, and the intent of the old execution went in beside the new one's. The fence is a lock, which waits.
  test.each(["begin", "finish"] as const)("is held up by a takeover under way, and refused: %s step", async (which) => {
    const store = await stores.open();
    const mine = await stores.one(store, await stores.consumer(store));
    if (which === "finish") await store.beginStep(mine, "pay", "key");
    const takeover = await db.pool.connect();
    await takeover.query("begin");
    await takeover.query("update nevertwice.delivery set claim = claim + 1 where id = $1", [mine.deliveryId]);
    const late =
      which === "begin" ? store.beginStep(mine, "pay", "key") : store.finishStep(mine, "pay", { result: "1" });
    await stores.blocked(1);
    await takeover.query("commit");
    takeover.release();
    expect(await late).toEqual(which === "begin" ? { kind: "superseded" } : false);
    const steps = await db.rows("select ended_at from nevertwice.step where message_id = $1", [mine.messageId]);
    expect(steps).toEqual(which === "begin" ? [] : [{ ended_at: null }]);
  });
});

describe("settlements at the same row", () => {
  // Fenced by a share lock in a sub-select, two of them both got it, both went on to write, and each waited for the other.
  test("that waited together: one settles, the other matches nothing, and nobody is a deadlock's victim", async () => {
    const [first, second] = [await stores.open(), await stores.open()];
    const mine = await stores.one(first, await stores.consumer(first));
    const holder = await db.pool.connect();
    await holder.query("begin");
    await holder.query("select from nevertwice.delivery where id = $1 for update", [mine.deliveryId]);
    const both = [
      first.settle([completed(mine)], "w1"),
      second.settle([{ ...mine, outcome: "retry", delayMs: 0, error: "e", ranMs: 1 }], "w2"),
    ];
    await stores.blocked(2);
    await holder.query("commit");
    holder.release();
    expect((await Promise.all(both)).map((settled) => settled.size).sort()).toEqual([0, 1]);
  });
});

describe("a handler's transaction", () => {
  // Under REPEATABLE READ, a renewal that committed after the handler's first statement made the settlement fail with "could
  // not serialize access": a handler longer than a third of its lease could never complete.
  test("settles after a heartbeat that came after its first statement", async () => {
    const store = await stores.open();
    const mine = await stores.one(store, await stores.consumer(store));
    const tx = await store.begin(LIMITS, "w");
    await tx.query("select count(*) from effect");
    expect(await store.renew([mine], LEASE_MS)).toEqual([]);
    expect(await tx.settleAndCommit([completed(mine)])).toBe("committed");
  });

  // A process that froze after its settlement and before COMMIT kept the row locked: takeovers skip locked rows, so the
  // delivery stood still for as long as the process did. The server ends the session when it has been idle for a lease.
  test("of a frozen process is ended by the server, its row taken over, and it cannot commit any more", async () => {
    const store = await stores.open();
    const name = await stores.consumer(store);
    const mine = await stores.one(store, name, -1);
    // Time enough for the statements up to the takeover, which finds the row locked.
    const frozen = await store.begin({ ...LIMITS, idleMs: 3_000 }, "w1");
    await frozen.query("insert into effect (name) values ('frozen')");
    await frozen.settle([completed(mine)]);
    expect(await store.takeOver([name], LEASE_MS, "w2")).toBeUndefined();
    let taken: Claim | undefined;
    await until("it is taken over", async () => (taken = await store.takeOver([name], LEASE_MS, "w2")) !== undefined);
    expect(await frozen.commit()).not.toBe("committed");
    expect(await db.rows("select from effect where name = 'frozen'")).toEqual([]);
    expect(await store.settle([completed(taken as Claim)], "w2")).toHaveProperty("size", 1);
  });

  // A handler ended the transaction inside its SQL; the settlement then ran alone, in autocommit: no effect, nothing
  // outstanding, lost. The settlement requires the token that was set after BEGIN.
  test("that its handler ended does not settle: the delivery is still owed", async () => {
    const store = await stores.open();
    const mine = await stores.one(store, await stores.consumer(store));
    const tx = await store.begin(LIMITS, "w");
    await tx.query("insert into effect (name) values ('ended')");
    await tx.query("rollback");
    expect(await tx.settleAndCommit([completed(mine)])).toBe("rolled-back");
    expect(await delivery(mine.deliveryId)).toMatchObject({ state: "leased", claim: mine.claim });
    expect(await db.rows("select from effect where name = 'ended'")).toEqual([]);
  });

  // COMMIT can take as long as a deferred trigger or a synchronous standby does, and a peer that vanished never answers:
  // porsager/postgres#1186 waited for ever. Passing the deadline is "unknown", not rolled back: here it commits all the same.
  // Such a connection went back to its pool elsewhere, and the next user read the answer of this COMMIT.
  test("whose COMMIT is not answered in time is unknown, its connection destroyed, and found committed later", async () => {
    await db.pool.query("create table slow_commit (id int)");
    const holder = await db.pool.connect();
    await holder.query("select pg_advisory_lock(1)");
    await db.pool.query(
      `create function slow() returns trigger language plpgsql as
         $$ begin set local lock_timeout = 0; perform pg_advisory_xact_lock_shared(1); return null; end $$;
       create constraint trigger slow after insert on slow_commit deferrable initially deferred
       for each row execute function slow()`,
    );
    const pool = new pg.Pool({ connectionString: db.url, max: 5 });
    const store = new PostgresStore(pool, { schema: "nevertwice", logger: keepingLogger() });
    const helper = await stores.open();
    const mine = await stores.one(helper, await stores.consumer(helper));
    // Time enough for COMMIT to get there.
    Object.assign(defaults, { commitTimeoutMs: 1_500 });
    const tx = await store.begin({ ...LIMITS, statementMs: 0 }, "w");
    await tx.query("insert into slow_commit values (1)");
    expect(await tx.settleAndCommit([completed(mine)])).toBe("unknown");
    Object.assign(defaults, { commitTimeoutMs: 10_000 });
    expect([pool.totalCount, pool.idleCount]).toEqual([0, 0]);
    await stores.blocked(1);
    // Under way, it holds its rows: nothing can be concluded. Then its settlement is there.
    expect(await helper.resolve([mine], LEASE_MS)).toEqual({ kind: "unknown" });
    await holder.query("select pg_advisory_unlock(1)");
    holder.release();
    await until("it has committed", async () => (await db.rows("select from slow_commit")).length === 1);
    expect(await helper.resolve([mine], LEASE_MS)).toEqual({ kind: "committed" });
    await pool.end();
  });
});
