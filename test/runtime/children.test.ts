// Fan-out and fan-in: a job that hands work to children, waits for them without holding anything, and gets what became of each.
import pg from "pg";
import { describe, expect, expectTypeOf, test } from "vitest";
import type { Store } from "../../src/core/ports/store.ts";
import { allCompleted, type ChildOutcome, type Nevertwice, SnoozeError, TerminalError } from "../../src/index.ts";
import { openStore } from "../../src/store/open.ts";
import { commandLine } from "../support/command-line.ts";
import { until } from "../support/database.ts";
import { testDatabase } from "../support/instance.ts";
import { keepingLogger } from "../support/logger.ts";

const db = testDatabase();

function gate(): { passed: Promise<void>; open: () => void } {
  let open = (): void => {};
  const passed = new Promise<void>((resolve) => (open = resolve));
  return { passed, open };
}

const standing = async (id: string) =>
  (
    await db.rows<{ state: string; attempts: number }>(
      "select state, attempts::int from nevertwice.delivery where message_id = $1",
      [id],
    )
  )[0];
const blocked = (id: string) => until("it waits", async () => (await standing(id))?.state === "blocked");
const history = async (id: string) =>
  await db.rows<{ outcome: string; error: string | null; attempt: number }>(
    "select outcome, error, attempt::int from nevertwice.attempt where message_id = $1 order by ended_at",
    [id],
  );
const childrenOf = (id: string, group = "%") =>
  db.rows<{ id: string; topic: string; tenant: string; priority: number | null }>(
    `select m.id, m.topic, m.tenant, d.priority::int as priority
     from nevertwice.step s
     cross join json_array_elements_text(s.result -> 'ids') with ordinality as c (id, n)
     join nevertwice.message m on m.id = c.id::uuid and m.headers ->> 'parent' = $1 and 'children ' || (m.headers ->> 'group') = s.name
     left join nevertwice.delivery d on d.message_id = m.id
     where s.message_id = $1::uuid and s.name like 'children ' || $2
     order by s.started_at, s.name, c.n`,
    [id, group],
  );

/** Two jobs: `sum` asks `square` for the square of each number. */
function sums(nt: Nevertwice, name: string, square: (n: number) => unknown = (n) => n * n) {
  const runs: number[] = [];
  const child = nt.job<number, number>(`${name}-square`, {}, square as (n: number) => number);
  const sum = nt.job<number[], number>(`${name}-sum`, {}, async (numbers, { tx, children, attempt }) => {
    runs.push(attempt);
    await tx.query("insert into effect (name, n) values ($1, $2)", [name, attempt]);
    const outcomes = await children("squares", child, numbers);
    return allCompleted(outcomes).reduce((total, n) => total + n, 0);
  });
  return { child, sum, runs };
}

describe("a job with children", () => {
  test("waits for all of them, gets their results in order, and runs twice in all: one attempt, recorded once", async () => {
    const nt = db.open();
    const { sum, runs } = sums(nt, "plain");
    const one = await sum.enqueue([1, 2, 3, 4]);
    await nt.start();
    expect(await one.result()).toBe(30);
    expect(runs).toEqual([1, 1]);
    expect(await history(one.id)).toEqual([
      { outcome: "interrupted", error: "waits for its children: squares (4)", attempt: 1 },
      { outcome: "completed", error: null, attempt: 1 },
    ]);
    // What the first run wrote through `tx` was rolled back.
    expect(await db.rows("select n from effect where name = 'plain'")).toEqual([{ n: 1 }]);
    expect(await childrenOf(one.id)).toHaveLength(4);
  });

  test("the types flow from the child", async () => {
    const nt = db.open();
    const child = nt.job<{ page: number }, string>("typed-child", {}, ({ page }) => `page ${page}`);
    const parent = nt.job("typed", {}, async (_, { children }) => {
      const outcomes = await children("pages", child, [{ page: 1 }]);
      expectTypeOf(outcomes).toEqualTypeOf<ChildOutcome<string>[]>();
      expectTypeOf(allCompleted(outcomes)).toEqualTypeOf<string[]>();
      return allCompleted(outcomes)[0];
    });
    await nt.start();
    expect(await (await parent.enqueue(null)).result()).toBe("page 1");
  });

  test("while it waits it is claimed by nobody, counts no attempt, and holds no session", async () => {
    const nt = db.open();
    const { passed, open } = gate();
    const { sum, runs } = sums(nt, "waiting", async (n) => (await passed, n));
    const one = await sum.enqueue([7]);
    await nt.start();
    await blocked(one.id);
    expect(await standing(one.id)).toEqual({ state: "blocked", attempts: 0 });
    const busy = await db.rows(
      "select from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'",
    );
    expect(busy).toEqual([]);
    expect(runs).toHaveLength(1);
    open();
    expect(await one.result()).toBe(7);
    expect(runs).toHaveLength(2);
  });

  test("each has an outcome of its own, in the order of the inputs: completed, dead, cancelled, expired", async () => {
    const nt = db.open();
    const { passed, open } = gate();
    const child = nt.job<string, string>("mixed-child", { retry: { maxAttempts: 1 } }, async (how) => {
      if (how === "dies") throw new TerminalError("it cannot be");
      if (how === "held") await passed;
      return how;
    });
    let got: readonly ChildOutcome<string>[] = [];
    const late = nt.job("mixed-late", {});
    const parent = nt.job("mixed", {}, async (_, { children }) => {
      const [some, other] = await Promise.all([
        children("some", child, ["completes", "dies", "held"]),
        children("late", late, [1], { expireAfterMs: 1 }),
      ]);
      got = [...some, ...(other as ChildOutcome<any>[])];
      return got.map((outcome) => outcome.status);
    });
    const one = await parent.enqueue(null);
    await nt.start();
    await blocked(one.id);
    const group = await childrenOf(one.id, "some");
    expect(await childrenOf(one.id, "late")).toHaveLength(1);
    const held = group.at(-1)?.id ?? "";
    await until("the third runs", async () => (await standing(held))?.state === "leased");
    expect(await nt.cancel(held, { reason: "no more" })).toBe("cancelled");
    open();
    const other = db.open();
    other.job("mixed-late", {}, () => {});
    await other.start();
    expect(await one.result()).toEqual(["completed", "dead", "cancelled", "cancelled"]);
    expect(got).toMatchObject([
      { id: group[0]?.id, result: "completes" },
      { id: group[1]?.id, error: expect.stringContaining("it cannot be") },
      { id: held, error: expect.stringContaining("no more") },
      { error: expect.stringContaining("expired") },
    ]);
  });

  test("allCompleted throws with the first that did not: the parent is dead at once; both replayed, it gets the results", async () => {
    const nt = db.open();
    let broken = true;
    const { sum } = sums(nt, "mended", (n) => {
      if (n === 2 && broken) throw new TerminalError("broken");
      return n;
    });
    const one = await sum.enqueue([1, 2, 3]);
    await nt.start();
    await expect(one.result()).rejects.toMatchObject({
      code: "NT_JOB_DEAD",
      got: expect.stringContaining("NT_CHILD_ENDED"),
    });
    expect((await history(one.id)).map((row) => row.outcome)).toEqual(["interrupted", "dead"]);
    broken = false;
    const [, dead] = await childrenOf(one.id);
    for (const id of [dead?.id ?? "", one.id]) {
      expect((await commandLine(["replay", id, "--database", db.url])).code).toBe(0);
    }
    await until("it completes", async () => (await history(one.id)).some((row) => row.outcome === "completed"));
    expect(await one.result()).toBe(6);
    expect(await childrenOf(one.id)).toHaveLength(3);
  });

  test("tenant and priority are the parent's, unless said otherwise; nested parents wait for theirs", async () => {
    const nt = db.open();
    const leaf = nt.job<number, number>("leaf", {}, (n) => n);
    const branch = nt.job<number, number>("branch", {}, async (n, { children }) => {
      const inner = await children("leaves", leaf, () => Array.from({ length: n }, () => 1));
      return allCompleted(inner).length;
    });
    const root = nt.job<number[], number[]>("root", {}, async (of, { children }) => {
      await children("apart", leaf, [1], { tenant: "", priority: 0 });
      return allCompleted(await children("branches", branch, of));
    });
    const one = await root.enqueue([2, 0, 3], { tenant: "acme", priority: 1 });
    await nt.pause("leaf").catch(() => {});
    await nt.start();
    await blocked(one.id);
    expect(await childrenOf(one.id)).toMatchObject([{ topic: "leaf", tenant: "", priority: 0 }]);
    await nt.resume("leaf");
    expect(await one.result()).toEqual([2, 0, 3]);
    const branches = await childrenOf(one.id, "branches");
    expect(branches.map((child) => child.tenant)).toEqual(["acme", "acme", "acme"]);
    expect((await history(one.id)).map((row) => row.error)).toEqual([
      "waits for its children: apart (1)",
      "waits for its children: branches (3)",
      null,
    ]);
  });

  test("inputs are checked before anything is written, all groups together", async () => {
    const nt = db.open();
    const checked = nt.job("checked-child", {
      input: {
        "~standard": {
          version: 1,
          vendor: "test",
          validate: (value: unknown) =>
            typeof value === "number" ? { value } : { issues: [{ message: "expected a number", path: ["n"] }] },
        },
      } as any,
    });
    const { passed, open } = gate();
    const parent = nt.job("checks", {}, async (_, { children }) => {
      const good = () => (open(), [1, 2]);
      // The good ones are ready to be enqueued when the fault is found.
      const bad = async () => {
        await passed;
        await new Promise((resolve) => setTimeout(resolve, 50));
        return [1, "two"];
      };
      await Promise.all([children("good", checked, good), children("bad", checked, bad)]);
    });
    const one = await parent.enqueue(null);
    await nt.start();
    await expect(one.result()).rejects.toMatchObject({
      code: "NT_JOB_DEAD",
      got: expect.stringContaining("expected a number"),
    });
    expect(await childrenOf(one.id)).toEqual([]);
  });

  test("misuse fails the attempt and names itself", async () => {
    const nt = db.open();
    const [child, other] = [nt.job<number, void>("misused", {}, () => {}), nt.job("misused-other", {}, () => {})];
    const errors: string[] = [];
    const parent = nt.job<string, string>("misuses", { retry: { maxAttempts: 1 } }, async (how, { children }) => {
      if (how === "twice") await Promise.all([children("a", child, [1]), children("a", child, [1])]);
      if (how === "many") await children("a", child, () => Array.from({ length: 10_001 }, () => 1));
      if (how === "spaces") await children("a b", child, [1]);
      if (how === "option") await children("a", child, [1], { key: "k" } as never);
      if (how === "forgotten") void children("a", child, [1]);
      if (how === "job") {
        await children("a", child, [1]).catch((error: unknown) => errors.push(String(error)));
        await children("b", child, [1]).catch((error: unknown) => errors.push(String(error)));
      }
      return how;
    });
    await nt.start();
    for (const [how, said] of [
      ["twice", "NT_CHILDREN"],
      ["many", "10000 children"],
      ["spaces", "NT_OPTION"],
      ["option", "NT_OPTION"],
      ["forgotten", "NT_CHILDREN"],
    ] as const) {
      const one = await parent.enqueue(how);
      await expect(one.result()).rejects.toMatchObject({ code: "NT_JOB_DEAD", got: expect.stringContaining(said) });
      expect(await childrenOf(one.id)).toEqual([]);
    }
    // Swallowed, it does not pass for a success: nothing more is asked for in this run, and the delivery waits.
    const swallowed = await parent.enqueue("job");
    expect(await swallowed.result()).toBe("job");
    expect(errors[0]).toContain("WaitsForChildren");
    expect((await childrenOf(swallowed.id)).length).toBe(2);
    // The group is of one job.
    await db.rows(
      "update nevertwice.step set result = json_build_object('job', 'another', 'ids', json_build_array()) where message_id = $1",
      [swallowed.id],
    );
    expect(other.name).toBe("misused-other");
  });

  test("none, and ten thousand", async () => {
    const nt = db.open();
    const { sum, child } = sums(nt, "many", (n) => n);
    const parent = nt.job<number, number>("counts", {}, async (n, { children }) => {
      const none = await children("none", child, []);
      const outcomes = await children(
        "all",
        child,
        Array.from({ length: n }, (_, i) => i),
      );
      return none.length + outcomes.filter((one, i) => one.status === "completed" && one.result === i).length;
    });
    await nt.start();
    expect(await (await sum.enqueue([])).result()).toBe(0);
    const one = await parent.enqueue(10_000);
    expect(await one.result({ timeoutMs: 80_000 })).toBe(10_000);
    expect(await history(one.id)).toHaveLength(2);
  });
});

describe("children are enqueued once", () => {
  test("whatever fails before and after, and when the parent is replayed", async () => {
    const nt = db.open();
    let tries = 0;
    let made = 0;
    const child = nt.job<number, number>("once-child", {}, (n) => n);
    const parent = nt.job("once", { retry: { baseMs: 1, maxMs: 1 } }, async (_, { children, step }) => {
      await step.run("before", () => made++);
      if (++tries === 1) throw new Error("before it asked");
      const outcomes = await children("numbers", child, () => [made, ++tries]);
      if (tries++ < 6) throw new Error("after they ended");
      if (tries < 9) throw new SnoozeError("later", { afterMs: 1 });
      return allCompleted(outcomes).length;
    });
    const one = await parent.enqueue(null);
    await nt.start();
    expect(await one.result()).toBe(2);
    expect(await childrenOf(one.id)).toHaveLength(2);
    expect((await commandLine(["replay", one.id, "--include-completed", "--database", db.url])).code).toBe(0);
    const completions = async () => (await history(one.id)).filter((row) => row.outcome === "completed").length;
    await until("the replay completes", async () => (await completions()) === 2);
    expect(await childrenOf(one.id)).toHaveLength(2);
    const all = await db.rows("select from nevertwice.message where topic = 'once-child'");
    expect(all).toHaveLength(2);
    expect(made).toBe(1);
  });

  test.each([true, false])("the reply to the COMMIT that enqueues them is lost, committed: %s", async (commits) => {
    let cuts = 0;
    const pool = new pg.Pool({ connectionString: db.url, max: 5 });
    pool.on("error", () => {});
    const connect = pool.connect.bind(pool) as () => Promise<pg.PoolClient>;
    let blocking: unknown;
    const cut = async (client: pg.PoolClient): Promise<never> => {
      cuts++;
      if (commits) await client.query("commit");
      throw Object.assign(new Error("Connection terminated unexpectedly"), { code: "ECONNRESET" });
    };
    pool.connect = (async () => {
      const client = await connect();
      return new Proxy(client, {
        get(target, name) {
          const value = Reflect.get(target, name, target);
          if (name !== "query") return typeof value === "function" ? value.bind(target) : value;
          return (query: string | { text: string }) => {
            const text = typeof query === "string" ? query : query.text;
            if (text.startsWith("-- block")) blocking = target;
            if (text === "commit" && blocking === target && cuts === 0) return cut(target);
            return target.query(query as string);
          };
        },
      });
    }) as typeof pool.connect;
    const nt = db.open({ database: pool });
    const { sum } = sums(nt, `cut-${commits}`);
    const one = await sum.enqueue([1, 2]);
    await nt.start();
    expect(await one.result()).toBe(5);
    expect(cuts).toBe(1);
    expect(await db.rows("select from nevertwice.message where headers ->> 'parent' = $1", [one.id])).toHaveLength(2);
    await nt.stop();
  });
});

describe("nobody tells the parent", () => {
  /** As after the death of the process that ended a child: committed, and the question was never asked. */
  async function silent(look: boolean): Promise<{ store: Store; asked: () => number }> {
    const store = await openStore(db.url, { schema: "nevertwice", logger: keepingLogger() });
    let asked = 0;
    store.children.wake = async (parents) => ((asked += parents.length), 0);
    if (!look) store.children.look = async () => 0;
    return { store, asked: () => asked };
  }

  test("a process dies between the child's COMMIT and the question: another one finds it", async () => {
    const { store, asked } = await silent(false);
    const nt = db.open({ database: store });
    const { sum } = sums(nt, "silent");
    const one = await sum.enqueue([1, 2]);
    await nt.start();
    await until("the children have ended", async () => {
      const ids = (await childrenOf(one.id)).map((child) => child.id);
      const outcomes = await store.outcomes(ids);
      return ids.length === 2 && [...outcomes.values()].every((outcome) => outcome.kind === "completed");
    });
    await until("the question would have been asked", () => asked() > 0);
    expect(await standing(one.id)).toMatchObject({ state: "blocked" });
    await nt.stop();
    // Not before its time, which is half a minute at most.
    await db.rows("update nevertwice.delivery set due_at = clock_timestamp() where message_id = $1", [one.id]);
    const other = db.open();
    sums(other, "silent");
    await other.start();
    await until("it completes", async () => (await history(one.id)).some((row) => row.outcome === "completed"));
  });

  test("a worker that has nothing else to do finds it by itself, in half a minute", async () => {
    const { store } = await silent(true);
    const nt = db.open({ database: store });
    const { sum } = sums(nt, "patient");
    await nt.start();
    const began = performance.now();
    expect(await (await sum.enqueue([3])).result({ timeoutMs: 80_000 })).toBe(9);
    const tookMs = performance.now() - began;
    expect(tookMs).toBeGreaterThan(10_000);
    expect(tookMs).toBeLessThan(40_000);
  });

  test("two processes end the last children of two hundred parents: each parent is woken, without a look", async () => {
    const open = async () => {
      const store = await openStore(db.url, { schema: "nevertwice", logger: keepingLogger() });
      store.children.look = async () => 0;
      return db.open({ database: store });
    };
    const [one, two] = [await open(), await open()];
    const { sum } = sums(one, "pairs");
    sums(two, "pairs");
    const all = await sum.enqueueMany(Array.from({ length: 200 }, () => ({ input: [1, 2] })));
    await Promise.all([one.start(), two.start()]);
    const results = await Promise.all(all.map((parent) => parent.result()));
    expect(results.every((result) => result === 5)).toBe(true);
  });

  test("the last one expires: its parent is woken, without a look", async () => {
    const store = await openStore(db.url, { schema: "nevertwice", logger: keepingLogger() });
    store.children.look = async () => 0;
    const nt = db.open({ database: store });
    const late = nt.job("expires", {}, () => {});
    const parent = nt.job("waits-for-expired", {}, async (_, { children }) => {
      const [one] = await children("late", late, [1], { delayMs: 500, expireAfterMs: 1 });
      return one?.status;
    });
    const one = await parent.enqueue(null);
    await nt.pause("expires");
    await nt.start();
    await blocked(one.id);
    const [child] = await childrenOf(one.id);
    await until("it is too late", async () => {
      const [row] = await db.rows<{ late: boolean }>(
        "select expires_at < clock_timestamp() as late from nevertwice.delivery where message_id = $1",
        [child?.id],
      );
      return row?.late === true;
    });
    await nt.resume("expires");
    expect(await one.result()).toBe("cancelled");
  });

  // Woken too early it looks at its children, finds one outstanding, and waits again; that one ends in between, and whoever ended it
  // asks while the parent is still claimed.
  test("the last one ends between the parent's look and its waiting: it asks itself", async () => {
    const store = await openStore(db.url, { schema: "nevertwice", logger: keepingLogger() });
    store.children.look = async () => 0;
    const { passed, open } = gate();
    const { wake, block } = store.children;
    let asked = 0;
    let blocks = 0;
    store.children.wake = async (parents) => {
      const woken = await wake.call(store.children, parents);
      asked++;
      return woken;
    };
    store.children.block = async (...words) => {
      if (++blocks === 2) {
        const before = asked;
        open();
        await until("the child has ended, and its end was told", () => asked > before);
      }
      return block.apply(store.children, words);
    };
    const nt = db.open({ database: store });
    const { sum } = sums(nt, "crossing", async (n) => (await passed, n));
    const one = await sum.enqueue([5]);
    await nt.start();
    await blocked(one.id);
    await until("its own question was asked", () => asked > 0);
    await db.rows(
      "update nevertwice.delivery set state = 'waiting', due_at = clock_timestamp() where message_id = $1",
      [one.id],
    );
    await store.hint("test");
    expect(await one.result()).toBe(5);
    expect(blocks).toBe(2);
  });

  test("whoever has no parent asks nothing", async () => {
    const { store, asked } = await silent(true);
    const nt = db.open({ database: store });
    const job = nt.job<number, number>("ordinary", {}, async (n, { tx }) => (await tx.query("select 1"), n));
    nt.on("ordinary-topic", () => {});
    await nt.start();
    await nt.send("ordinary-topic", 1);
    const all = await job.enqueueMany(Array.from({ length: 100 }, (_, i) => ({ input: i })));
    await Promise.all(all.map((one) => one.result()));
    expect(asked()).toBe(0);
  });
});

describe("a parent is cancelled while it waits", () => {
  test("its children go on; with `children` they end with it, running ones and grandchildren too", async () => {
    const nt = db.open();
    let running = 0;
    let aborted = 0;
    const leaf = nt.job<number, void>("cut-leaf", {}, async (_, { signal }) => {
      running++;
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      aborted++;
    });
    const branch = nt.job<number, void>("cut-branch", {}, async (n, { children }) => {
      await children(
        "leaves",
        leaf,
        Array.from({ length: n }, (_, i) => i),
      );
    });
    const root = nt.job<number, void>("cut-root", {}, async (n, { children }) => {
      await children("branches", branch, [n, n]);
    });
    await nt.start();
    const one = await root.enqueue(2);
    await until("the leaves run", () => running === 4);
    expect(await one.cancel("enough")).toBe("cancelled");
    expect(await one.result().catch((error: unknown) => error)).toMatchObject({ code: "NT_JOB_CANCELLED" });
    const branches = await childrenOf(one.id);
    for (const { id } of branches) expect(await standing(id)).toMatchObject({ state: "blocked" });
    // It has ended already: what is outstanding below it ends all the same.
    expect(await one.cancel("enough of all", { children: true })).toBe("cancelled");
    await until("they are told", () => aborted === 4);
    for (const { id } of branches) {
      expect((await history(id)).at(-1)).toMatchObject({
        outcome: "cancelled",
        error: "cancelled with its parent: enough of all",
      });
      for (const leafOf of await childrenOf(id)) expect(await standing(leafOf.id)).toBeUndefined();
    }
    expect(await nt.cancel(one.id, { children: true })).toBe("cancelled");
    await expect(nt.cancel(one.id, { childen: true } as never)).rejects.toMatchObject({ code: "NT_OPTION" });
  });
});
