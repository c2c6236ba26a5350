// A slot becomes a message once: what the store promises about it, with two sessions at one schedule.
import { describe, expect, test } from "vitest";
import type { DueSchedule, ScheduleDeclaration } from "../../src/core/ports/schedules.ts";
import type { Store } from "../../src/core/ports/store.ts";
import { arrival, ownParcel } from "../../src/runtime/arrival.ts";
import { systemClock, systemRandom } from "../../src/runtime/system.ts";
import { until } from "../support/database.ts";
import { testDatabase } from "../support/instance.ts";
import { settableClock } from "../support/settable-clock.ts";
import { testStores } from "../support/store.ts";

const db = testDatabase();
const stores = testStores(db);
const clock = settableClock(db);
let count = 0;

function declaration(given: Partial<ScheduleDeclaration> = {}): ScheduleDeclaration {
  const name = given.name ?? `s${++count}`;
  const timing = { cron: "0 * * * *", zone: "UTC", missed: "once" as const, jitterMs: 0 };
  return { ...timing, name, origin: "code", topic: name, input: undefined, definition: "v1", ...given };
}
const message = (name: string, key: string) =>
  arrival(ownParcel(name, { key }, { key: `${name}/${key}` }), systemClock, systemRandom);
const messages = async (name: string): Promise<string[]> =>
  (await db.rows<{ key: string }>("select key from nevertwice.message where topic = $1 order by key", [name])).map(
    ({ key }) => key.slice(name.length + 1),
  );
const HOUR_MS = 3_600_000;

async function due(store: Store, of: ScheduleDeclaration): Promise<{ one: DueSchedule; nowMs: number }> {
  const looked = await store.schedules.look({ own: [of], except: [], all: false });
  const one = looked.due.find(({ name }) => name === of.name);
  if (one === undefined) throw new Error("not due");
  return { one, nowMs: looked.nowMs };
}
const turn = ({ one, nowMs }: { one: DueSchedule; nowMs: number }) => ({
  name: one.name,
  turn: one.turn,
  readMs: nowMs,
  decidedMs: nowMs,
  nextMs: nowMs + HOUR_MS,
  lastMs: nowMs,
});

describe("a decision", () => {
  test("moves the schedule on and accepts its messages, or neither", async () => {
    const store = await stores.open();
    const mine = declaration();
    expect(await store.schedules.declare(mine)).toBe("declared");
    const read = await due(store, mine);
    // A topic with a NUL: the server refuses the message, and the schedule stands where it stood.
    const broken = { ...message(mine.name, "1"), topic: "a\0b" };
    await expect(store.schedules.decide(turn(read), [broken])).rejects.toThrow();
    expect((await due(store, mine)).one).toEqual(read.one);
    expect(await store.schedules.decide(turn(read), [message(mine.name, "1")])).toMatchObject([{ kind: "accepted" }]);
    expect(await messages(mine.name)).toEqual(["1"]);
    const looked = await store.schedules.look({ own: [mine], except: [], all: false });
    expect(looked.due.filter(({ name }) => name === mine.name)).toEqual([]);
    expect(looked.waitMs).toBeGreaterThan(HOUR_MS - 60_000);
  });

  // A process froze after it had read, and came back when another one had sent.
  test("of a process that was frozen meanwhile writes nothing", async () => {
    const [store, other] = [await stores.open(), await stores.open()];
    const mine = declaration();
    await store.schedules.declare(mine);
    const frozen = await due(store, mine);
    expect(await other.schedules.decide(turn(await due(other, mine)), [message(mine.name, "theirs")])).toBeDefined();
    expect(await store.schedules.decide(turn(frozen), [message(mine.name, "mine")])).toBeUndefined();
    expect(await messages(mine.name)).toEqual(["theirs"]);
  });

  test("that was read more than a minute ago is not written: what was in time then may be missed now", async () => {
    const store = await stores.open();
    const mine = declaration();
    await store.schedules.declare(mine);
    await clock.set(new Date().toISOString());
    const read = await due(store, mine);
    await clock.set(new Date(read.nowMs + 61_000).toISOString());
    expect(await store.schedules.decide(turn(read), [message(mine.name, "late")])).toBeUndefined();
    expect(await store.schedules.decide(turn(await due(store, mine)), [message(mine.name, "now")])).toBeDefined();
    expect(await messages(mine.name)).toEqual(["now"]);
    await clock.set(new Date().toISOString());
  });

  test("is left to whoever is about it; when they are killed, the slot is there for the next", async () => {
    const store = await stores.open();
    const mine = declaration();
    await store.schedules.declare(mine);
    const holder = await db.pool.connect();
    holder.on("error", () => {});
    const { rows } = await holder.query<{ pid: number }>("select pg_backend_pid() as pid");
    await holder.query("begin");
    await holder.query("update nevertwice.schedule set turn = turn + 1 where name = $1", [mine.name]);
    await holder.query("select * from nevertwice.send($1, '1', key => $2)", [mine.name, `${mine.name}/1`]);
    const began = performance.now();
    const read = await due(store, mine);
    expect(await store.schedules.decide(turn(read), [message(mine.name, "1")])).toBeUndefined();
    expect(performance.now() - began).toBeLessThan(2_000);
    await db.pool.query("select pg_terminate_backend($1)", [rows[0]?.pid]);
    await until("it can be taken", async () => {
      return (await store.schedules.decide(turn(await due(store, mine)), [message(mine.name, "1")])) !== undefined;
    });
    holder.release(true);
    expect(await messages(mine.name)).toEqual(["1"]);
  });

  test("that was taken before a pause, a change or a removal writes nothing after it", async () => {
    const store = await stores.open();
    const changes: ((name: string) => Promise<unknown>)[] = [
      (name) => store.schedules.pause(name, true),
      (name) => store.schedules.declare(declaration({ name, origin: "api", definition: "v2", cron: "5 * * * *" })),
      (name) => store.schedules.remove(name),
    ];
    for (const change of changes) {
      const mine = declaration({ origin: "api" });
      await store.schedules.declare(mine);
      const read = await due(store, mine);
      await change(mine.name);
      expect(await store.schedules.decide(turn(read), [message(mine.name, "1")])).toBeUndefined();
      expect(await messages(mine.name)).toEqual([]);
    }
  });

  // The row went back in time: a restore, a clock. The key is what remembers.
  test("about a slot that was sent already is refused by the ledger of keys", async () => {
    const store = await stores.open();
    const mine = declaration();
    await store.schedules.declare(mine);
    await store.schedules.decide(turn(await due(store, mine)), [message(mine.name, "1")]);
    await db.pool.query("update nevertwice.schedule set decided_to = 'epoch', next_at = 'epoch' where name = $1", [
      mine.name,
    ]);
    expect(await store.schedules.decide(turn(await due(store, mine)), [message(mine.name, "1")])).toMatchObject([
      { kind: "duplicate" },
    ]);
    expect(await messages(mine.name)).toEqual(["1"]);
  });
});

describe("a declaration", () => {
  const row = async (name: string): Promise<any> =>
    (
      await db.rows(
        "select definition, cron, turn::int, decided_to, paused_at from nevertwice.schedule where name = $1",
        [name],
      )
    )[0];

  test("starts a schedule now; the same again leaves it where it stands; another expression starts it anew", async () => {
    const store = await stores.open();
    const mine = declaration();
    const before = await clock.now();
    await store.schedules.declare(mine);
    const first = await row(mine.name);
    expect(first["decided_to"].getTime()).toBeGreaterThan(before - 1_000);
    await db.pool.query("update nevertwice.schedule set decided_to = decided_to - interval '1 hour' where name = $1", [
      mine.name,
    ]);
    const moved = await row(mine.name);
    await store.schedules.declare(mine);
    expect(await row(mine.name)).toEqual(moved);
    // Another policy is no other expression: what is due stays due.
    await store.schedules.declare({ ...mine, missed: "all", definition: "v2" });
    expect((await row(mine.name))["decided_to"]).toEqual(moved["decided_to"]);
    await store.schedules.declare({ ...mine, cron: "5 * * * *", definition: "v3" });
    expect((await row(mine.name))["decided_to"].getTime()).toBeGreaterThan(before - 1_000);
  });

  // During a deploy both versions run, and each declares its own, again and again.
  test("of an old process does not flap back what a deploy has changed, until nobody declares that any more", async () => {
    const store = await stores.open();
    const old = declaration();
    const newer = { ...old, cron: "5 * * * *", definition: "v2" };
    await store.schedules.declare(old);
    expect(await store.schedules.declare(newer)).toBe("declared");
    for (let i = 0; i < 3; i++) expect(await store.schedules.declare(old)).toBe("outdated");
    expect(await row(old.name)).toMatchObject({ definition: "v2", cron: "5 * * * *", turn: 1 });
    // Nor does it take care of what it does not mean.
    const looked = await store.schedules.look({ own: [old], except: [], all: true });
    expect(looked.due.map(({ name }) => name)).not.toContain(old.name);
    // A deploy after that, and one that takes it all back: the last process of the others went four minutes ago.
    expect(await store.schedules.declare({ ...old, cron: "7 * * * *", definition: "v3" })).toBe("declared");
    expect(await store.schedules.declare(newer)).toBe("outdated");
    await db.pool.query(
      "update nevertwice.schedule set declared_at = declared_at - interval '4 minutes' where name = $1",
      [old.name],
    );
    expect(await store.schedules.declare(old)).toBe("declared");
    expect(await row(old.name)).toMatchObject({ definition: "v1", cron: "0 * * * *" });
    expect(await store.schedules.declare({ ...old, cron: "7 * * * *", definition: "v3" })).toBe("outdated");
  });

  test("by ten processes at once makes one schedule", async () => {
    const all = await Promise.all(Array.from({ length: 10 }, () => stores.open()));
    const mine = declaration();
    await Promise.all(all.map((store) => store.schedules.declare(mine)));
    expect(await row(mine.name)).toMatchObject({ turn: 0 });
  });

  test("leaves a pause as it is: a deploy does not undo what an operator did", async () => {
    const store = await stores.open();
    const mine = declaration();
    await store.schedules.declare(mine);
    await store.schedules.pause(mine.name, true);
    await store.schedules.declare({ ...mine, cron: "5 * * * *", definition: "v2" });
    expect((await row(mine.name))["paused_at"]).toBeInstanceOf(Date);
    const looked = await store.schedules.look({ own: [{ ...mine, definition: "v2" }], except: [], all: true });
    expect(looked.due.map(({ name }) => name)).not.toContain(mine.name);
  });

  test("belongs to code or to run time, and is removed where it belongs", async () => {
    const store = await stores.open();
    const [coded, set] = [declaration(), declaration({ origin: "api" })];
    await store.schedules.declare(coded);
    await store.schedules.declare(set);
    await expect(store.schedules.declare({ ...coded, origin: "api" })).rejects.toThrow(
      /NT_SCHEDULE_ORIGIN.*code declares/,
    );
    await expect(store.schedules.declare({ ...set, origin: "code" })).rejects.toThrow(
      /NT_SCHEDULE_ORIGIN.*set at run time/,
    );
    await expect(store.schedules.remove(coded.name)).rejects.toThrow(/NT_SCHEDULE_ORIGIN/);
    await db.pool.query(
      "update nevertwice.schedule set declared_at = declared_at - interval '11 minutes' where name = $1",
      [coded.name],
    );
    await store.schedules.remove(coded.name);
    await store.schedules.remove(set.name);
    await expect(store.schedules.remove(set.name)).rejects.toThrow(/NT_NOT_FOUND/);
    await expect(store.schedules.pause(set.name, true)).rejects.toThrow(/NT_NOT_FOUND/);
  });
});
