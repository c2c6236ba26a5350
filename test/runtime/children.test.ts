// Fan-out and fan-in: a job that hands work to children, waits for them without holding anything, and gets what became of each.
import { describe, expect, expectTypeOf, test } from "vitest";
import type { Store } from "../../src/core/ports/store.ts";
import { allCompleted, type ChildOutcome, type Nevertwice, SnoozeError, TerminalError } from "../../src/index.ts";
import { openStore } from "../../src/store/open.ts";
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
  (await db.rows<{ state: string; attempts: number }>(
    "select state, attempts::int from nevertwice.delivery where message_id = $1",
    [id],
  ))[0];
const blocked = (id: string) => until("it waits", async () => (await standing(id))?.state === "blocked");
const history = async (id: string) =>
  (await db.rows<{ outcome: string; error: string | null; attempt: number }>(
    "select outcome, error, attempt::int from nevertwice.attempt where message_id = $1 order by ended_at",
    [id],
  ));
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
    await expect(one.result()).rejects.toMatchObject({ code: "NT_JOB_DEAD", got: expect.stringContaining("NT_CHILD_ENDED") });
    expect((await history(one.id)).map((row) => row.outcome)).toEqual(["interrupted", "dead"]);
    broken = false;
    const { commandLine } = await import("../support/command-line.ts");
    const [, dead] = await childrenOf(one.id);
    for (const id of [dead?.id ?? "", one.id]) {
      expect((await commandLine(["replay", id, "--database", db.url])).code).toBe(0);
    }
    await nt.ready().then((store) => store.hint("test"));
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
    const parent = nt.job("checks", {}, async (_, { children }) => {
      await Promise.all([children("good", checked, [1, 2]), children("bad", checked, [1, "two"])]);
    });
    const one = await parent.enqueue(null);
    await nt.start();
    await expect(one.result()).rejects.toMatchObject({ code: "NT_JOB_DEAD", got: expect.stringContaining("expected a number") });
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
      const outcomes = await children("all", child, Array.from({ length: n }, (_, i) => i));
      return none.length + outcomes.filter((one, i) => one.status === "completed" && one.result === i).length;
    });
    await nt.start();
    expect(await (await sum.enqueue([])).result()).toBe(0);
    const one = await parent.enqueue(10_000);
    expect(await one.result({ timeoutMs: 80_000 })).toBe(10_000);
    expect(await history(one.id)).toHaveLength(2);
  });
});
