/**
 * Jobs against a model: keys that are unique for a while, priorities, delays, expiry, retries and cancellation, in any order,
 * under a clock that stands still until a command moves it. After each command the outstanding deliveries are what the model
 * says, row by row. A failure prints the seed and the shortest story that shows it.
 */
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Claimed, Settlement, Store } from "../../src/core/ports/store.ts";
import { arrival } from "../../src/runtime/arrival.ts";
import { parcel } from "../../src/runtime/job.ts";
import { systemClock, systemRandom } from "../../src/runtime/system.ts";
import { testDatabase } from "../support/instance.ts";
import { testStores } from "../support/store.ts";

const db = testDatabase();
const stores = testStores(db);
/** Longer than a story: whether a lease has ended is told elsewhere. */
const LEASE_MS = 86_400_000;

interface JobState {
  state: "waiting" | "retrying" | "leased";
  readonly priority: number;
  dueMs: number;
  expiresMs: number | null;
  claimed?: Claimed;
}

interface Holder {
  readonly id: string;
  readonly untilMs: number | null;
}

interface Model {
  nowMs: number;
  readonly jobs: Map<string, JobState>;
  readonly holders: Map<string, Holder>;
  /** All that were ever enqueued, in their order: commands name them by place. */
  readonly ids: string[];
}

interface Real {
  readonly store: Store;
  readonly job: string;
}

type Command = fc.AsyncCommand<Model, Real>;

let started = 0;
beforeAll(async () => {
  const nt = db.open();
  await nt.ready();
  await db.pool.query("create table public.now (at timestamptz not null)");
  await db.pool.query("insert into public.now values ('2026-11-25T00:00:00Z')");
  await db.pool.query(
    "create or replace function nevertwice.clock() returns timestamptz language sql volatile parallel safe as $$ select at from public.now $$",
  );
  const [row] = await db.rows<{ ms: number }>("select (extract(epoch from at) * 1000)::float8 as ms from public.now");
  started = row?.ms ?? Number.NaN;
});
afterAll(async () => void (await db.pool.query("drop table public.now cascade")));

async function same(model: Model): Promise<void> {
  const rows = await db.rows(
    `select message_id as id, state, priority::int, (extract(epoch from due_at) * 1000)::float8 as due,
       (extract(epoch from expires_at) * 1000)::float8 as expires
     from nevertwice.delivery`,
  );
  const byId = (a: { id: string }, b: { id: string }): number => (a.id < b.id ? -1 : 1);
  const expected = Array.from(model.jobs, ([id, { state, priority, dueMs, expiresMs }]) => ({
    id,
    state,
    priority,
    due: state === "leased" ? model.nowMs : dueMs,
    expires: expiresMs,
  }));
  // When a lease ends is no part of the model.
  const leased = (row: { state: string; due: number }) => (row.state === "leased" ? { ...row, due: model.nowMs } : row);
  expect(rows.map((row) => leased(row as never)).sort(byId as never)).toEqual(expected.sort(byId));
}

interface Enqueuing {
  readonly key: "a" | "b" | undefined;
  readonly held: "waiting" | "outstanding" | number;
  readonly onConflict: "ignore" | "replace" | "reschedule";
  readonly delayMs: number;
  readonly priority: -2 | -1 | 0 | 1 | 2;
  readonly expireAfterMs: number | undefined;
}

class Enqueue implements Command {
  readonly what: Enqueuing;
  constructor(what: Enqueuing) {
    this.what = what;
  }
  check = (): boolean => true;
  async run(model: Model, { store, job }: Real): Promise<void> {
    const { key, held, onConflict, delayMs, priority, expireAfterMs } = this.what;
    const unique = { onConflict, ...(typeof held === "number" ? { windowMs: held } : { while: held }) };
    const options = {
      delayMs,
      priority,
      ...(expireAfterMs === undefined ? {} : { expireAfterMs }),
      ...(key === undefined ? {} : { key, unique }),
    };
    const one = arrival(parcel(job, { n: model.ids.length }, options), systemClock, systemRandom);
    const [put] = await store.accept([one]);
    const dueMs = model.nowMs + delayMs;
    const expiresMs = expireAfterMs === undefined ? null : dueMs + expireAfterMs;
    const fresh: JobState = { state: "waiting", priority, dueMs, expiresMs };
    const holder = key === undefined ? undefined : model.holders.get(key);
    const holding = holder === undefined ? undefined : model.jobs.get(holder.id);
    const there =
      holder !== undefined &&
      (typeof held === "number"
        ? holder.untilMs !== null && holder.untilMs > model.nowMs
        : holding !== undefined && (held === "outstanding" || holding.state !== "leased"));
    const movable = holding !== undefined && holding.state !== "leased";
    if (there && (onConflict === "ignore" || !movable)) {
      expect(put).toEqual({ kind: "ignored", id: holder.id });
    } else if (there && onConflict === "reschedule") {
      expect(put).toEqual({ kind: "rescheduled", id: holder.id });
      Object.assign(holding as JobState, { dueMs, expiresMs });
    } else {
      expect(put).toEqual({ kind: there ? "replaced" : "accepted", id: one.id });
      if (there) model.jobs.delete(holder.id);
      model.jobs.set(one.id, fresh);
      model.ids.push(one.id);
      const untilMs = typeof held === "number" ? model.nowMs + held : null;
      if (key !== undefined) model.holders.set(key, { id: one.id, untilMs });
    }
    await same(model);
  }
  toString = (): string => `enqueue ${JSON.stringify(this.what)}`;
}

class ClaimSome implements Command {
  readonly limit: number;
  constructor(limit: number) {
    this.limit = limit;
  }
  check = (): boolean => true;
  async run(model: Model, { store, job }: Real): Promise<void> {
    const claimed = await store.claim([{ consumer: job, limit: this.limit, dueFrom: undefined }], LEASE_MS);
    const due = [...model.jobs.values()].filter((one) => one.state !== "leased" && one.dueMs <= model.nowMs);
    const rank = (one: JobState): readonly number[] => [
      -one.priority,
      one.state === "waiting" ? 0 : 1,
      one.dueMs - started,
    ];
    const inOrder = due.map(rank).sort((a, b) => a.map((n, i) => n - (b[i] ?? 0)).find((d) => d !== 0) ?? 0);
    // Those that stand alike may come in any order: what is compared is where they stand.
    const got = claimed.map((one) => rank(model.jobs.get(one.messageId) as JobState));
    expect(got.sort((a, b) => a.map((n, i) => n - (b[i] ?? 0)).find((d) => d !== 0) ?? 0)).toEqual(
      inOrder.slice(0, this.limit),
    );
    for (const one of claimed) {
      const of = model.jobs.get(one.messageId) as JobState;
      expect(one.expired).toBe(of.expiresMs !== null && of.expiresMs <= model.nowMs);
      Object.assign(of, { state: "leased", claimed: one });
    }
    await same(model);
  }
  toString = (): string => `claim ${this.limit}`;
}

class Settle implements Command {
  readonly nth: number;
  readonly outcome: Settlement["outcome"];
  readonly delayMs: number;
  constructor(nth: number, outcome: Settlement["outcome"], delayMs: number) {
    this.nth = nth;
    this.outcome = outcome;
    this.delayMs = delayMs;
  }
  check = ({ jobs }: Readonly<Model>): boolean => [...jobs.values()].some((one) => one.state === "leased");
  async run(model: Model, { store }: Real): Promise<void> {
    const leased = [...model.jobs].filter(([, one]) => one.state === "leased");
    const [id, of] = leased[this.nth % leased.length] as [string, JobState];
    const { claimed } = of as { claimed: Claimed };
    const again = this.outcome === "retry" || this.outcome === "interrupted";
    const settled = await store.settle(
      [{ ...claimed, outcome: this.outcome, ranMs: 1, ...(again ? { delayMs: this.delayMs } : {}) }],
      "model",
    );
    expect([...settled]).toEqual([claimed.deliveryId]);
    if (again)
      Object.assign(of, {
        state: "retrying",
        dueMs: model.nowMs + this.delayMs,
        expiresMs: null,
      });
    else model.jobs.delete(id);
    // The same claim settles nothing a second time.
    expect(await store.settle([{ ...claimed, outcome: "completed", ranMs: 1 }], "model")).toEqual(new Set());
    await same(model);
  }
  toString = (): string => `settle the ${this.nth}th as ${this.outcome}, ${this.delayMs} ms`;
}

class Cancel implements Command {
  readonly nth: number;
  constructor(nth: number) {
    this.nth = nth;
  }
  check = ({ ids }: Readonly<Model>): boolean => ids.length > 0;
  async run(model: Model, { store }: Real): Promise<void> {
    const id = model.ids[this.nth % model.ids.length] as string;
    const of = model.jobs.get(id);
    const { cancelled, ran } = await store.cancel(id, "by the model");
    expect({ cancelled, ran }).toEqual({ cancelled: of === undefined ? 0 : 1, ran: of?.state === "leased" });
    model.jobs.delete(id);
    await same(model);
  }
  toString = (): string => `cancel the ${this.nth}th`;
}

class Pass implements Command {
  readonly ms: number;
  constructor(ms: number) {
    this.ms = ms;
  }
  check = (): boolean => true;
  async run(model: Model): Promise<void> {
    model.nowMs += this.ms;
    await db.pool.query("update public.now set at = at + $1 * interval '1 millisecond'", [this.ms]);
  }
  toString = (): string => `${this.ms} ms pass`;
}

const span = fc.constantFrom(0, 1_000, 5_000, 60_000);
const commands = [
  fc
    .record({
      key: fc.constantFrom<Enqueuing["key"][]>("a", "a", "b", undefined),
      held: fc.constantFrom<Enqueuing["held"][]>("waiting", "outstanding", "outstanding", 5_000, 40_000),
      onConflict: fc.constantFrom<Enqueuing["onConflict"][]>("ignore", "replace", "reschedule"),
      delayMs: span,
      priority: fc.constantFrom<Enqueuing["priority"][]>(-2, -1, 0, 0, 1, 2),
      expireAfterMs: fc.constantFrom(undefined, undefined, 1_000, 10_000),
    })
    .map((what: Enqueuing) => new Enqueue(what)),
  fc.integer({ min: 1, max: 3 }).map((limit) => new ClaimSome(limit)),
  fc
    .tuple(fc.nat(9), fc.constantFrom<Settlement["outcome"]>("completed", "retry", "dead", "interrupted"), span)
    .map(([nth, outcome, delayMs]) => new Settle(nth, outcome, delayMs)),
  fc.nat(30).map((nth) => new Cancel(nth)),
  fc.constantFrom(1_000, 5_000, 40_000).map((ms) => new Pass(ms)),
];

test("a job's key, priority, time and end are those of the model, whatever came before", async () => {
  const store = await stores.open();
  let stories = 0;
  let steps = 0;
  await fc.assert(
    fc.asyncProperty(fc.commands(commands, { maxCommands: 60, size: "max" }), async (story) => {
      const job = `model-${++stories}`;
      await store.declare([{ name: job, source: "job", topic: job, topicLike: job }]);
      await db.pool.query("delete from nevertwice.delivery");
      const nowMs = started;
      await db.pool.query("update public.now set at = to_timestamp($1::float8 / 1000)", [nowMs]);
      const model: Model = { nowMs, jobs: new Map(), holders: new Map(), ids: [] };
      steps += [...story].length;
      await fc.asyncModelRun(() => ({ model, real: { store, job } }), story);
    }),
    { numRuns: 60, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: false },
  );
  expect(stories).toBeGreaterThan(5);
  expect(steps / stories).toBeGreaterThan(20);
});
