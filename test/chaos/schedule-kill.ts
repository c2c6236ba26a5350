// Processes that have the same schedules, killed around the sending of a slot, with clocks that are a day off; and now and then
// nobody is there for five and a half minutes (the database's clock is set forward while all are down), so that slots are missed.
//
// The oracle counts in seconds: "every N seconds" names the multiples of N, in any zone whose offset is whole minutes. Which of
// them must be there follows from what `missed` promises and from when everybody was down, on the database's clock.
import { keepingLogger } from "../support/logger.ts";
import { openStore } from "../../src/store/open.ts";
import { SLOT_POINTS, type Point } from "./failpoints.ts";
import type { Player } from "./player.ts";
import { type ChaosOptions, pause, type Played, Run } from "./run.ts";
import type { Scenario } from "./scenarios.ts";
import { type ChaosSchedule, SCHEDULES } from "./schedules.ts";

const PROCESSES = 3;
const DAY_MS = 86_400_000;
/** What counts as in time: docs/schedules.md. */
const GRACE_MS = 300_000;
const OUTAGE_MS = 330_000;
const SCRIPT = "test/chaos/schedule-process.ts";
/** One process at each point, one at any moment, all but one, and in every second round all of them for a while. */
const KINDS = [...SLOT_POINTS, "any", "most"] as const;

const SET_CLOCK = `
create table public.ahead (by interval not null);
insert into public.ahead values ('0');
create or replace function nevertwice.clock() returns timestamptz
  language sql volatile parallel safe
  as $$ select clock_timestamp() + (select by from public.ahead) $$;`;

/** Everybody was down from one moment to another; by a third one, all had decided what they missed. */
interface Outage {
  readonly fromMs: number;
  readonly toMs: number;
  overMs: number;
}

class Ticking extends Run {
  readonly outages: Outage[] = [];
  beganMs = 0;
  processes: Player[] = [];
  readonly #up = new Set<Player>();
  #down = false;

  async start(): Promise<void> {
    await this.open();
    const store = await openStore(this.url, { schema: "nevertwice", logger: keepingLogger() });
    await store.migrate("auto");
    await store.close();
    await this.pool.query(SET_CLOCK);
    await this.startAll();
    this.beganMs = await this.now();
  }

  async startAll(): Promise<void> {
    this.#down = false;
    this.processes = Array.from({ length: PROCESSES }, () => this.process());
    await Promise.all(this.processes.map((one) => one.ready));
  }

  process(): Player {
    const skewMs = Math.round((2 * this.random() - 1) * DAY_MS);
    const env = { CHAOS_SKEW_MS: String(skewMs), CHAOS_JITTER_MS: String(Math.floor(500 * this.random())) };
    const player = this.player("process", env, undefined, SCRIPT);
    void player.ready.then(() => this.#up.add(player));
    void player.ended.then(() => {
      this.#up.delete(player);
      if (!this.stopping && !this.#down) this.processes[this.processes.indexOf(player)] = this.process();
    });
    return player;
  }

  /** On the database's clock. */
  async now(): Promise<number> {
    const { rows } = await this.rows<{ ms: number }>(
      "select (extract(epoch from nevertwice.clock()) * 1000)::float8 as ms",
    );
    return rows[0]?.ms ?? Number.NaN;
  }

  /** The first to come to a point, which stands there now. The others are told to pass it. */
  async standingAt(point: Point): Promise<Player> {
    for (;;) {
      const up = [...this.#up];
      const first = await Promise.race([
        ...up.map(async (one) => ((await one.reaches(point, 10_000)) === undefined ? undefined : one)),
        pause(10_000),
      ]);
      for (const one of up) if (one !== first) one.order({ release: true });
      if (first instanceof Object) return first;
    }
  }

  async kill(some: readonly Player[]): Promise<void> {
    for (const one of some) one.signal("SIGKILL");
    await Promise.all(some.map((one) => one.ended));
  }

  async fault(n: number): Promise<void> {
    const kind = this.options.canary === "moved-apart" ? "slot-committing" : KINDS[n % KINDS.length];
    if (kind === "most" && n % (2 * KINDS.length) < KINDS.length) return this.outage();
    if (kind === undefined || kind === "any" || kind === "most") {
      await pause(1_000 * this.random());
      return this.kill([...this.#up].slice(0, kind === "any" ? 1 : PROCESSES - 1));
    }
    const one = await this.standingAt(kind);
    // The others find the schedule due meanwhile, and its row taken.
    await pause(300 * this.random());
    this.hit(kind);
    await this.kill([one]);
  }

  async outage(): Promise<void> {
    this.#down = true;
    await this.kill([...this.players]);
    const fromMs = await this.now();
    await this.rows(`update public.ahead set by = by + interval '${OUTAGE_MS} milliseconds'`);
    const outage: Outage = { fromMs, toMs: await this.now(), overMs: Infinity };
    this.outages.push(outage);
    await this.startAll();
    await this.reached(await this.now());
    outage.overMs = await this.now();
  }

  /** Waits until the last slot before a moment has taken effect, of each schedule. */
  async reached(ms: number): Promise<boolean> {
    for (let tries = 0; tries < 600; tries++) {
      const slots = await this.slots();
      const behind = SCHEDULES.some(({ name, everyS }) => {
        const last = Math.max(...(slots.get(name)?.keys() ?? []));
        return last < Math.floor(ms / (everyS * 1_000)) * everyS * 1_000;
      });
      if (!behind) return true;
      await pause(100);
    }
    return false;
  }

  /** By schedule: how often the job of a slot took effect. */
  async slots(): Promise<ReadonlyMap<string, ReadonlyMap<number, number>>> {
    const { rows } = await this.rows<{ kind: string; at: string; times: number }>(
      `select kind, split_part(message, ' ', 2) as at, count(*)::int as times from chaos_effect group by kind, message`,
    );
    const slots = new Map<string, Map<number, number>>();
    for (const { kind, at, times } of rows) {
      const of = slots.get(kind) ?? new Map<number, number>();
      slots.set(kind, of.set(Number(at), times));
    }
    return slots;
  }

  /** What becomes of a slot: it must be there, must not, or nobody can say from outside. */
  due({ missed, everyS }: ChaosSchedule, atMs: number): "must" | "must-not" | "may" {
    if (missed === "all") return "must";
    for (const { fromMs, toMs, overMs } of this.outages) {
      // Before it: what was decided before the end came is there, and nobody knows how far that was.
      if (atMs > fromMs - 30_000 && atMs <= fromMs) return "may";
      if (atMs <= fromMs || atMs > overMs) continue;
      if (missed === "once") return atMs <= toMs - everyS * 1_000 ? "must-not" : "may";
      if (atMs <= toMs - GRACE_MS) return "must-not";
      if (atMs <= overMs - GRACE_MS) return "may";
    }
    return "must";
  }

  /** Sends no more slots. */
  async endSlots(): Promise<void> {
    await this.rows("update nevertwice.schedule set paused_at = nevertwice.clock(), turn = turn + 1");
  }
}

async function play(options: ChaosOptions): Promise<Played> {
  const ticking = new Ticking(options);
  const began = performance.now();
  try {
    await ticking.start();
    for (let n = 0; n < options.count; n++) {
      await ticking.fault(n);
      await ticking.faulted();
      await ticking.goesOn();
      if (await ticking.caughtAlready()) break;
    }
    await pause(2_000);
    const endedMs = await ticking.now();
    const all = await ticking.reached(endedMs);
    await ticking.endSlots();
    const drained = (await ticking.settled()) && all;
    await ticking.sawTheLast();
    return await verdict(ticking, endedMs, drained, began);
  } finally {
    await ticking.stop();
  }
}

async function verdict(ticking: Ticking, endedMs: number, drained: boolean, began: number): Promise<Played> {
  const { unexpected, options, beganMs, outages } = ticking;
  const slots = await ticking.slots();
  let [attempted, acked, effects, lost, doubled] = [0, 0, 0, 0, 0];
  for (const schedule of SCHEDULES) {
    const { name, everyS } = schedule;
    const everyMs = everyS * 1_000;
    const found = slots.get(name) ?? new Map<number, number>();
    for (const [at, times] of found) {
      effects += times;
      if (times > 1) doubled++;
      if (at % everyMs !== 0) unexpected.push(`${name} at ${at}, which is no slot`);
    }
    for (let at = Math.ceil(beganMs / everyMs) * everyMs; at <= endedMs; at += everyMs) {
      const due = ticking.due(schedule, at);
      attempted++;
      if (due === "must") {
        acked++;
        if (!found.has(at)) lost++;
      }
      if (due === "must-not" && found.has(at)) unexpected.push(`${name} sent a slot that it had missed: ${at}`);
    }
    // The latest is sent for all that were missed.
    for (const { toMs, overMs } of schedule.missed === "once" ? outages : []) {
      if (![...found.keys()].some((at) => at > toMs - everyMs && at <= overMs)) lost++;
    }
  }
  if (options.canary === undefined) {
    ticking.allHit(SLOT_POINTS, options.count >= 50 ? 5 : 1);
    if (options.count >= KINDS.length && outages.length === 0)
      unexpected.push("nothing was missed: nothing was proved");
  }
  const counts = { attempted, acked, effects, lost, doubled };
  return { result: ticking.result(counts, { drained, ms: performance.now() - began }), unexpected };
}

export const scheduleKill: Scenario = {
  about: "processes with the same schedules killed around the sending of a slot, their clocks a day off",
  needs: {},
  canaries: ["turn-ignored", "moved-apart"],
  play,
};
