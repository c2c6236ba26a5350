import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Arrival, Claim, Claimed, Settlement, Store } from "../../src/core/ports/store.ts";
import { topicLike } from "../../src/core/topic.ts";
import { arrival } from "../../src/runtime/arrival.ts";
import { systemClock, systemRandom } from "../../src/runtime/system.ts";
import { until } from "../support/database.ts";

const LEASE_MS = 60_000;
const LIMITS = { idleMs: 10_000, lockMs: 1_000, statementMs: 10_000 };

/** A message of a source that no consumer but this test's own takes. */
export function made(source: string, options: Partial<Parameters<typeof arrival>[0]> = {}): Arrival {
  const body = options.body ?? Buffer.from("{}");
  const parcel = { tenant: "", source, key: undefined, topic: "t", headers: {}, body, comparable: body, ...options };
  return arrival(parcel, systemClock, systemRandom);
}

/**
 * What every adapter of the store promises: the port's contract, statement by statement. `unheard` is the reason why hints
 * do not arrive through this one: it is then asked for what the port promises instead.
 */
export function storeConformance(
  open: () => Promise<{ store: Store; close(): Promise<void> }>,
  { unheard }: { readonly unheard?: string } = {},
): void {
  describe("the store conformance suite", () => {
    let store: Store;
    let close: () => Promise<void>;
    let count = 0;

    beforeAll(async () => {
      ({ store, close } = await open());
      await store.inspect();
      await store.migrate("auto");
    });
    afterAll(() => close());

    async function consumer(): Promise<string> {
      const name = `c${++count}-${randomBytes(3).toString("hex")}`;
      await store.declare([{ name, source: name, topic: "*", topicLike: topicLike("*") }]);
      return name;
    }
    const claim = (name: string, limit = 10) => store.claim([{ consumer: name, limit, dueFrom: undefined }], LEASE_MS);
    async function one(name: string): Promise<Claimed> {
      await store.accept([made(name)]);
      return (await claim(name))[0] as Claimed;
    }
    const rows = async (text: string, values: unknown[] = []) =>
      (await store.query(text, values)).rows as Record<string, any>[];
    const attempts = (id: string) =>
      rows("select outcome, attempt from nevertwice.attempt where delivery_id = $1 order by ended_at", [id]);
    const completed = (of: Claim): Settlement => ({ ...of, outcome: "completed", ranMs: 1 });
    const forged = (of: Claimed): Claimed => ({ ...of, claim: String(BigInt(of.claim) ^ 1n) });

    describe("accept", () => {
      test("stores the body byte for byte and owes it to each consumer that is registered", async () => {
        const name = await consumer();
        const body = Buffer.from([0, 255, 10, 0x5c, 0x30]);
        const [accepted] = await store.accept([made(name, { body, headers: { a: "é\u0001" }, topic: "a.b" })]);
        expect(accepted?.kind).toBe("accepted");
        const [claimed] = await claim(name);
        expect(claimed?.message).toMatchObject({ source: name, topic: "a.b", headers: { a: "é\u0001" } });
        expect(Buffer.from(claimed?.message.body ?? []).equals(body)).toBe(true);
      });

      test("absorbs a copy, and twins within one batch", async () => {
        const name = await consumer();
        const first = await store.accept([
          made(name, { key: "k" }),
          made(name, { key: "k" }),
          made(name, { key: "other" }),
        ]);
        expect(first.map((one) => one.kind)).toEqual(["accepted", "duplicate", "accepted"]);
        const [again] = await store.accept([made(name, { key: "k" })]);
        expect(again).toEqual({ kind: "duplicate", id: first.find((one) => one.kind === "accepted")?.id });
        expect(await claim(name)).toHaveLength(2);
        await store.countCopies([{ messageId: first[0]?.id ?? "", copies: 2 }]);
        const counted = await rows("select sum(copies)::int as n from nevertwice.duplicate where message_id = $1", [
          again?.id,
        ]);
        expect(counted[0]?.["n"]).toBe(2);
      });

      test("keeps another body under a known key as evidence, and does not run it", async () => {
        const name = await consumer();
        const [first] = await store.accept([made(name, { key: "k", body: Buffer.from("one") })]);
        const [second] = await store.accept([made(name, { key: "k", body: Buffer.from("two") })]);
        expect(second).toEqual({ kind: "conflict", id: first?.id });
        const kept = await rows("select body from nevertwice.duplicate where message_id = $1 and conflict", [
          first?.id,
        ]);
        expect(kept[0]?.["body"].toString()).toBe("two");
        expect(await claim(name)).toHaveLength(1);
      });

      test("twins within one batch are measured by the first: the same body, another body, and one that is known", async () => {
        const name = await consumer();
        const body = (text: string) => ({ key: "k", body: Buffer.from(text) });
        const twins = () => [made(name, body("one")), made(name, body("two")), made(name, body("one"))];
        const first = await store.accept(twins());
        expect(first.map((one) => one.kind)).toEqual(["accepted", "conflict", "duplicate"]);
        const second = await store.accept(twins());
        expect(second.map((one) => one.kind)).toEqual(["duplicate", "conflict", "duplicate"]);
        expect(new Set([...first, ...second].map((one) => one.id)).size).toBe(1);
        const kept = await rows("select body from nevertwice.duplicate where message_id = $1 and conflict", [
          first[0]?.id,
        ]);
        expect(kept.map((row) => row["body"].toString())).toEqual(["two", "two"]);
        const message = made(name);
        const own = await store.accept([message, message]);
        expect(own.map((one) => one.kind)).toEqual(["accepted", "accepted"]);
        expect(await claim(name)).toHaveLength(2);
      });

      test("the same key of another tenant or another source is another message", async () => {
        const [a, b] = [await consumer(), await consumer()];
        const all = await store.accept([
          made(a, { key: "k" }),
          made(b, { key: "k" }),
          made(a, { key: "k", tenant: "t2" }),
        ]);
        expect(all.map((one) => one.kind)).toEqual(["accepted", "accepted", "accepted"]);
      });

      test("the same signed bytes under another id: marked, or refused by option", async () => {
        const name = await consumer();
        const body = randomBytes(8);
        const [first] = await store.accept([made(name, { key: "1", body, onReplay: "mark" })]);
        const [marked] = await store.accept([made(name, { key: "2", body, onReplay: "mark" })]);
        expect(marked).toMatchObject({ kind: "accepted", suspectedReplayOf: first?.id });
        const [refused] = await store.accept([made(name, { key: "3", body, onReplay: "refuse" })]);
        expect(refused).toEqual({ kind: "replayed", id: first?.id });
        const [known] = await store.accept([made(name, { key: "1", body, onReplay: "refuse" })]);
        expect(known?.kind).toBe("duplicate");
        expect(await claim(name)).toHaveLength(2);
      });

      test("overlapping batches in any order neither deadlock nor accept a key twice", async () => {
        const name = await consumer();
        const keys = Array.from({ length: 60 }, (_, i) => `k${i}`);
        for (let round = 0; round < 5; round++) {
          const batches = Array.from({ length: 6 }, () =>
            [...keys].sort(() => Math.random() - 0.5).map((key) => made(name, { key: `${round}-${key}` })),
          );
          const outcomes = await Promise.all(batches.map((batch) => store.accept(batch)));
          expect(outcomes.flat().filter((one) => one.kind === "accepted")).toHaveLength(60);
        }
      });

      test("repeated under its own id after a lost reply, a message finds itself: with a key, and without", async () => {
        const name = await consumer();
        const messages = [made(name), made(name, { key: "k" })];
        const first = await store.accept(messages);
        const again = await store.accept([...messages, made(name)]);
        expect([...first, ...again].map((one) => one.kind)).toEqual(Array(5).fill("accepted"));
        expect(again.slice(0, 2).map((one) => one.id)).toEqual(messages.map((one) => one.id));
        expect(await claim(name)).toHaveLength(3);
      });

      test("twins without a key at the same moment are one message, in one batch or in two", async () => {
        const name = await consumer();
        const twin = made(name);
        const batches = await Promise.all([store.accept([twin, twin]), store.accept([twin, made(name)])]);
        expect(batches.flat().filter((one) => one.id === twin.id && one.kind === "accepted")).not.toHaveLength(0);
        expect(await claim(name)).toHaveLength(2);
      });

      test("only a key of its own has a line in the ledger", async () => {
        const name = await consumer();
        const stored = await store.accept([made(name), made(name, { key: "k" })]);
        const known = await rows("select message_id from nevertwice.ledger where message_id = any ($1)", [
          stored.map((one) => one.id),
        ]);
        expect(known).toEqual([{ message_id: stored[1]?.id }]);
      });
    });

    describe("consumers are rows", () => {
      test("one that this process never declared gets its deliveries; a new one starts with what comes after it", async () => {
        const name = await consumer();
        await store.accept([made(name)]);
        const late = `${name}-late`;
        await store.declare([{ name: late, source: name, topic: "*", topicLike: "%" }]);
        expect(await claim(late)).toHaveLength(0);
        await store.accept([made(name)]);
        expect(await claim(late)).toHaveLength(1);
        expect(await claim(name)).toHaveLength(2);
      });

      test("patterns match as they are written: _ and % are no wildcards", async () => {
        const name = await consumer();
        const narrow = `${name}-narrow`;
        await store.declare([{ name: narrow, source: name, topic: "a_b.*", topicLike: topicLike("a_b.*") }]);
        await store.accept([
          made(name, { topic: "a_b.c" }),
          made(name, { topic: "axb.c" }),
          made(name, { topic: "a_b" }),
        ]);
        expect((await claim(narrow)).map((one) => one.message.topic)).toEqual(["a_b.c"]);
      });

      test("another source under a known name is refused", async () => {
        const name = await consumer();
        await expect(store.declare([{ name, source: "elsewhere", topic: "*", topicLike: "%" }])).rejects.toThrow(
          "NT_CONSUMER_CHANGED",
        );
      });
    });

    describe("claim, renew and take over", () => {
      test("a claimed delivery is nobody else's; each claim has a token of its own", async () => {
        const name = await consumer();
        await store.accept(Array.from({ length: 40 }, () => made(name)));
        const batches = await Promise.all(Array.from({ length: 8 }, () => claim(name, 10)));
        const all = batches.flat();
        expect(new Set(all.map((one) => one.deliveryId)).size).toBe(all.length);
        expect(new Set(all.map((one) => one.claim)).size).toBe(all.length);
        expect(all.length + (await claim(name, 40)).length).toBe(40);
      });

      test("first attempts come before retries, however long those have been due", async () => {
        const name = await consumer();
        const failed = await one(name);
        await store.settle([{ ...failed, outcome: "retry", delayMs: 0, error: "x", ranMs: 1 }], "w");
        await store.accept([made(name)]);
        const [first] = await claim(name, 1);
        expect(first?.attempt).toBe(1);
        expect((await claim(name, 1))[0]).toMatchObject({ deliveryId: failed.deliveryId, attempt: 2 });
      });

      test("what is not due yet is not claimed", async () => {
        const name = await consumer();
        await store.accept([made(name, { delayMs: 60_000 })]);
        expect(await claim(name)).toHaveLength(0);
        const next = await store.nextDueMs([name]);
        expect(next).toBeGreaterThan(50_000);
        expect(next).toBeLessThanOrEqual(60_000);
      });

      test("a lease that ran out is taken over alone; nothing is counted yet", async () => {
        const name = await consumer();
        await store.accept([made(name), made(name)]);
        await store.claim([{ consumer: name, limit: 10, dueFrom: undefined }], -1);
        const taken = await store.takeOver([name], LEASE_MS, "w2");
        expect(taken).toMatchObject({ alone: true, suspect: false, attempt: 1 });
        const [row] = await rows("select attempts, started from nevertwice.delivery where id = $1", [
          taken?.deliveryId,
        ]);
        expect(row).toEqual({ attempts: 0, started: false });
        expect(await store.takeOver([name], LEASE_MS, "w2")).toBeDefined();
        expect(await store.takeOver([name], LEASE_MS, "w2")).toBeUndefined();
      });

      test("from the second lease that ran out on it is a suspect: counted before it runs, and recorded when it is lost", async () => {
        const name = await consumer();
        await store.accept([made(name)]);
        await store.claim([{ consumer: name, limit: 1, dueFrom: undefined }], -1);
        const first = (await store.takeOver([name], -1, "w1")) as Claimed;
        const second = await store.takeOver([name], -1, "w2");
        expect(second).toMatchObject({ suspect: true, attempt: 1 });
        expect(await attempts(first.deliveryId)).toEqual([]);
        const third = await store.takeOver([name], LEASE_MS, "w3");
        expect(third).toMatchObject({ suspect: true, attempt: 2 });
        expect(await attempts(first.deliveryId)).toEqual([{ outcome: "lost", attempt: 1 }]);
        await store.settle([{ ...(third as Claimed), outcome: "retry", delayMs: 0, error: "e", ranMs: 1 }], "w3");
        await store.claim([{ consumer: name, limit: 1, dueFrom: undefined }], -1);
        expect(await store.takeOver([name], LEASE_MS, "w4")).toMatchObject({ suspect: false, attempt: 3 });
      });

      test("a lease further ahead than any lease can be counts as expired: the clock was set back", async () => {
        const name = await consumer();
        await store.accept([made(name)]);
        await store.claim([{ consumer: name, limit: 1, dueFrom: undefined }], 3_600_000);
        expect(await store.takeOver([name], 10_000, "w")).toBeDefined();
      });

      test("renewing moves the lease; a claim that is no longer current is told", async () => {
        const name = await consumer();
        const mine = await one(name);
        expect(await store.renew([mine], LEASE_MS)).toEqual([]);
        expect(await store.renew([mine, forged(mine)], LEASE_MS)).toEqual([forged(mine)]);
        await store.settle([completed(mine)], "w");
        expect(await store.renew([mine], LEASE_MS)).toEqual([mine]);
      });

      test("a row locked by its own transaction is skipped by a renewal, and is no lost lease", async () => {
        const name = await consumer();
        const mine = await one(name);
        // The lock is there until the end: one that waited for it would be given up.
        const tx = await store.begin({ ...LIMITS, idleMs: 300_000 }, "w");
        await tx.settle([completed(mine)]);
        expect(await store.renew([mine], LEASE_MS)).toEqual([]);
        expect(await store.takeOver([name], LEASE_MS, "w2")).toBeUndefined();
        await tx.rollback();
      });
    });

    describe("the fence", () => {
      test("no write of a zombie touches a row: settle, retry, renew, step", async () => {
        const name = await consumer();
        const zombie = await one(name);
        await rows("update nevertwice.delivery set due_at = clock_timestamp() - interval '1 second' where id = $1", [
          zombie.deliveryId,
        ]);
        const current = (await store.takeOver([name], LEASE_MS, "w2")) as Claimed;
        expect(current.deliveryId).toBe(zombie.deliveryId);
        expect(await store.settle([completed(zombie)], "w")).toEqual(new Set());
        expect(await store.settle([{ ...zombie, outcome: "retry", delayMs: 9e6 }], "w")).toEqual(new Set());
        expect(await store.settle([{ ...zombie, outcome: "dead", error: "x" }], "w")).toEqual(new Set());
        expect(await store.renew([zombie], 9e6)).toEqual([zombie]);
        expect(await store.beginStep(zombie, "s", "key")).toEqual({ kind: "superseded" });
        expect(await store.finishStep(zombie, "s", { result: "1" })).toBe(false);
        expect(await store.resolve([zombie], LEASE_MS)).toEqual({ kind: "superseded" });
        await store.recordSuperseded([{ ...zombie, outcome: "interrupted", ranMs: 5 }], "w");
        expect(await store.settle([completed(current)], "w2")).toEqual(new Set([current.deliveryId]));
        expect((await attempts(current.deliveryId)).map((row) => row["outcome"]).sort()).toEqual([
          "completed",
          "superseded",
        ]);
      });

      test("one settlement of many: those whose claim is current, and only those", async () => {
        const name = await consumer();
        await store.accept([made(name), made(name), made(name)]);
        const [a, b, c] = (await claim(name)) as [Claimed, Claimed, Claimed];
        const settled = await store.settle(
          [completed(a), completed(forged(b)), { ...c, outcome: "dead", error: "no", ranMs: 1 }],
          "w",
        );
        expect(settled).toEqual(new Set([a.deliveryId, c.deliveryId]));
      });

      test("two settlements of one claim at the same moment: one", async () => {
        const name = await consumer();
        const mine = await one(name);
        const both = await Promise.all([store.settle([completed(mine)], "w"), store.settle([completed(mine)], "w")]);
        expect(both.map((set) => set.size).sort()).toEqual([0, 1]);
        expect(await attempts(mine.deliveryId)).toHaveLength(1);
      });

      test("a retry counts, an interruption does not, and both clear the claim", async () => {
        const name = await consumer();
        const mine = await one(name);
        await store.settle([{ ...mine, outcome: "interrupted" }], "w");
        expect(await attempts(mine.deliveryId)).toEqual([]);
        const second = (await claim(name))[0] as Claimed;
        expect(second.attempt).toBe(1);
        await store.settle([{ ...second, outcome: "retry", delayMs: 0, error: "e", ranMs: 2 }], "w");
        expect((await claim(name))[0]).toMatchObject({ attempt: 2 });
        expect(await attempts(mine.deliveryId)).toEqual([{ outcome: "retry", attempt: 1 }]);
      });

      test("one that is put off is not counted, comes after first attempts, and is recorded once for the same reason", async () => {
        const name = await consumer();
        let mine = await one(name);
        const putOff = async (error: string) => {
          await store.settle([{ ...mine, outcome: "interrupted", delayMs: 60_000, error, ranMs: 1 }], "w");
          expect(await claim(name)).toEqual([]);
          await rows("update nevertwice.delivery set due_at = clock_timestamp() - interval '1 hour' where id = $1", [
            mine.deliveryId,
          ]);
          await store.accept([made(name)]);
          expect((await claim(name, 1))[0]?.deliveryId).not.toBe(mine.deliveryId);
          const [again] = await claim(name, 1);
          expect(again).toMatchObject({ deliveryId: mine.deliveryId, attempt: 1 });
          mine = again as Claimed;
        };
        await putOff("paused");
        await putOff("paused");
        expect(await attempts(mine.deliveryId)).toEqual([{ outcome: "interrupted", attempt: 1 }]);
        await putOff("paused for another reason");
        expect(await attempts(mine.deliveryId)).toHaveLength(2);
        await store.settle([completed(mine)], "w");
        expect((await attempts(mine.deliveryId)).at(-1)).toEqual({ outcome: "completed", attempt: 1 });
      });

      test("a dead letter is kept with its error", async () => {
        const name = await consumer();
        const mine = await one(name);
        await store.settle([{ ...mine, outcome: "dead", error: "it cannot be", ranMs: 1 }], "w");
        const [row] = await rows("select attempts, error from nevertwice.dead_letter where delivery_id = $1", [
          mine.deliveryId,
        ]);
        expect(row).toEqual({ attempts: 1, error: "it cannot be" });
      });
    });

    describe("a handler's transaction", () => {
      test("effects and settlement commit together, or neither does", async () => {
        const name = await consumer();
        const [a, b] = [await one(name), await one(name)];
        for (const [mine, end] of [
          [a, "commit"],
          [b, "rollback"],
        ] as const) {
          const tx = await store.begin(LIMITS, "w");
          await tx.query("create table if not exists nevertwice_effect (id text)");
          await tx.query("insert into nevertwice_effect values ($1)", [mine.deliveryId]);
          expect(await tx.settle([completed(mine)])).toEqual(new Set([mine.deliveryId]));
          if (end === "commit") expect(await tx.commit()).toBe("committed");
          else await tx.rollback();
        }
        expect(await rows("select id from nevertwice_effect")).toEqual([{ id: a.deliveryId }]);
        expect(await attempts(b.deliveryId)).toEqual([]);
      });

      test("settleAndCommit rolls all back when one member has lost its claim", async () => {
        const name = await consumer();
        const [a, b] = [await one(name), await one(name)];
        const tx = await store.begin(LIMITS, "w");
        expect(await tx.settleAndCommit([completed(a), completed(forged(b))])).toBe("rolled-back");
        expect(await attempts(a.deliveryId)).toEqual([]);
        const none = await store.begin(LIMITS, "w");
        expect(await none.settleAndCommit([completed(forged(b))])).toBe("rolled-back");
        const good = await store.begin(LIMITS, "w");
        expect(await good.settleAndCommit([completed(a), completed(b)])).toBe("committed");
      });

      test("a handler that ended the transaction itself settles nothing, and says rolled back", async () => {
        const name = await consumer();
        const mine = await one(name);
        const tx = await store.begin(LIMITS, "w");
        await tx.query("rollback");
        expect(await tx.settle([completed(mine)])).toEqual(new Set());
        expect(await attempts(mine.deliveryId)).toEqual([]);
        await tx.rollback();
      });

      test("an aborted transaction answers COMMIT with ROLLBACK: read, not believed", async () => {
        const tx = await store.begin(LIMITS, "w");
        await expect(tx.query("select 1 / 0")).rejects.toThrow();
        expect(await tx.commit()).toBe("rolled-back");
      });

      test("two statements in one, with or without values, are refused by the extended protocol", async () => {
        const tx = await store.begin(LIMITS, "w");
        await expect(tx.query("select 1; rollback")).rejects.toThrow(/multiple commands/);
        await tx.rollback();
      });

      test("is READ COMMITTED and durable, whatever the session's defaults are", async () => {
        const tx = await store.begin(LIMITS, "w");
        const { rows: found } = await tx.query(
          "select current_setting('transaction_isolation') as isolation, current_setting('synchronous_commit') as durable",
        );
        expect(found[0]).toEqual({ isolation: "read committed", durable: "on" });
        await tx.rollback();
      });
    });

    describe("an unknown COMMIT", () => {
      test("committed: the settlement of the claim is found", async () => {
        const name = await consumer();
        const mine = await one(name);
        await store.settle([completed(mine)], "w");
        expect(await store.resolve([mine], LEASE_MS)).toEqual({ kind: "committed" });
      });

      test("not committed: a new claim, under which the old transaction cannot commit any more", async () => {
        const name = await consumer();
        const mine = await one(name);
        const found = await store.resolve([mine], LEASE_MS);
        if (found.kind !== "not-committed") throw new Error(found.kind);
        expect(found.claims[0]?.claim).not.toBe(mine.claim);
        expect(await store.settle([completed(mine)], "w")).toEqual(new Set());
        expect((await store.settle([{ ...mine, ...found.claims[0], outcome: "completed" }], "w")).size).toBe(1);
      });

      test("still under way: unknown, and nothing is concluded", async () => {
        const name = await consumer();
        const mine = await one(name);
        const tx = await store.begin(LIMITS, "w");
        await tx.settle([completed(mine)]);
        expect(await store.resolve([mine], LEASE_MS)).toEqual({ kind: "unknown" });
        expect(await tx.commit()).toBe("committed");
        expect(await store.resolve([mine], LEASE_MS)).toEqual({ kind: "committed" });
      });
    });

    describe("steps", () => {
      test("an intent before, a result after, and never again once it is there", async () => {
        const name = await consumer();
        const mine = await one(name);
        expect(await store.beginStep(mine, "pay", "key")).toEqual({ kind: "begun", tries: 1 });
        expect(await store.beginStep(mine, "pay", "key")).toEqual({ kind: "begun", tries: 2 });
        expect(await store.finishStep(mine, "pay", { result: '{"id":1}' })).toBe(true);
        expect(await store.beginStep(mine, "pay", "key")).toEqual({ kind: "done", result: { id: 1 } });
        expect(await store.beginStep(mine, "other", "key2")).toEqual({ kind: "begun", tries: 1 });
        expect(await store.finishStep(mine, "other", { error: "no" })).toBe(true);
        expect(await store.beginStep(mine, "other", "key2")).toEqual({ kind: "begun", tries: 2 });
      });

      test.each(["null", "false", "0", '""', "[]"])("the result %s is a result", async (result) => {
        const name = await consumer();
        const mine = await one(name);
        await store.beginStep(mine, "s", "key");
        await store.finishStep(mine, "s", { result });
        expect(await store.beginStep(mine, "s", "key")).toEqual({ kind: "done", result: JSON.parse(result) });
      });

      test("on a timeline that nobody has confirmed: no intent, but what was finished gives its result", async () => {
        const name = await consumer();
        const [mine, other] = [await one(name), await one(name)];
        await store.beginStep(mine, "finished", "key1");
        await store.finishStep(mine, "finished", { result: "null" });
        await store.beginStep(mine, "failed", "key2");
        await store.finishStep(mine, "failed", { error: "no" });
        await store.beginStep(mine, "unknown", "key3");
        const timelines = () => rows("select id, confirmed_at, note from nevertwice.timeline");
        const [known] = await timelines();
        await rows("delete from nevertwice.timeline");
        const paused = { kind: "paused", timeline: known?.["id"] };
        try {
          expect(await store.beginStep(mine, "finished", "key1")).toEqual({ kind: "done", result: null });
          expect(await timelines()).toEqual([]);
          for (const step of ["failed", "unknown", "new"])
            expect(await store.beginStep(mine, step, "key")).toEqual(paused);
          expect(await store.beginStep(other, "new", "key")).toEqual(paused);
          expect(await store.beginStep(forged(mine), "new", "key")).toEqual({ kind: "superseded" });
          // The first one to be held up recorded it.
          expect(await timelines()).toEqual([{ id: known?.["id"], confirmed_at: null, note: null }]);
          const steps = "select name, tries from nevertwice.step where message_id = any ($1::uuid[]) order by name";
          expect(await rows(steps, [[mine.messageId, other.messageId]])).toEqual([
            { name: "failed", tries: 1 },
            { name: "finished", tries: 1 },
            { name: "unknown", tries: 1 },
          ]);
        } finally {
          await rows("update nevertwice.timeline set confirmed_at = clock_timestamp()");
        }
        expect(await store.beginStep(mine, "unknown", "key3")).toEqual({ kind: "begun", tries: 2 });
      });

      test("where the server does not tell which timeline it is on, nothing is held up", async () => {
        const name = await consumer();
        const mine = await one(name);
        const [{ source }] = (await rows(
          `select pg_get_functiondef(p.oid) as source
           from pg_proc p
           join pg_class c on c.relnamespace = p.pronamespace
           where p.proname = 'current_timeline' and c.oid = (select tableoid from nevertwice.timeline limit 1)`,
        )) as [{ source: string }];
        await rows(source.replace("pg_control_system()", "pg_control_system_that_is_not_there()"));
        try {
          expect(await rows("select nevertwice.current_timeline() as id")).toEqual([{ id: null }]);
          expect(await store.beginStep(mine, "s", "key")).toEqual({ kind: "begun", tries: 1 });
        } finally {
          await rows(source);
        }
      });
    });

    if (unheard === undefined) {
      test("hints arrive, also after the listening session was killed", async () => {
        const hints: (string | undefined)[] = [];
        const stop = await store.listen((from) => hints.push(from));
        try {
          await store.hint("x");
          await until("a hint is heard", () => hints.includes("x"));
          await rows(
            "select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'listen%' and pid <> pg_backend_pid()",
          );
          await until("a hint is heard again", async () => {
            await store.hint("y");
            return hints.includes("y");
          });
          // Once for each time it began to listen: who is heard is not polled for.
          expect(hints.filter((from) => from === undefined)).toHaveLength(2);
        } finally {
          await stop();
        }
      });
    } else {
      test(`hints do not arrive (${unheard}): it calls back without them instead`, async () => {
        const hints: (string | undefined)[] = [];
        const stop = await store.listen((from) => hints.push(from));
        try {
          await store.hint("x");
          await until("it calls back without a hint", () => hints.length >= 2);
          expect(hints).toEqual([undefined, undefined]);
        } finally {
          await stop();
        }
      });
    }

    test("refusals are counted by source and reason", async () => {
      await store.countRefusals([{ source: "s", reason: "bad-signature", refused: 3 }]);
      expect(await rows("select refused from nevertwice.refusal where source = 's'")).toEqual([{ refused: 3 }]);
    });
  });
}
