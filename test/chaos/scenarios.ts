import { restartEmbedded } from "../../src/store/embedded/server.ts";
import { until } from "../support/database.ts";
import type { CanaryName } from "./canaries.ts";
import { deploy } from "./deploy.ts";
import { POINTS, type Point, SERVER_POINTS } from "./failpoints.ts";
import { Harness } from "./harness.ts";
import { outboxRace } from "./outbox-race.ts";
import type { Player } from "./player.ts";
import { CUTS } from "./proxy.ts";
import { type ChaosOptions, LEASE_MS, pause, type Played } from "./run.ts";
import { scheduleKill } from "./schedule-kill.ts";
import { verdict } from "./verdict.ts";

export interface Scenario {
  readonly about: string;
  readonly needs: { readonly proxy?: boolean; readonly embedded?: boolean };
  readonly canaries: readonly CanaryName[];
  play(options: ChaosOptions): Promise<Played>;
}

/** Faults in what the harness plays: providers, a server, two workers. */
interface Faults extends Omit<Scenario, "play"> {
  /** Failpoints that must all have been hit. */
  readonly points: readonly Point[];
  /** One fault. */
  fault(harness: Harness, n: number): Promise<void>;
  /** What else must be true at the end; a sentence for each thing that is not. */
  after?(harness: Harness): Promise<readonly string[]>;
}

const ZOMBIE_POINTS = ["started", "claimed", "in-tx", "after-request"] as const;
/**
 * Where a canary's zombie is frozen: a settlement that comes too late, and a retry that reaches a newer execution. Elsewhere
 * another guard stops it before it gets there.
 */
const CANARY_POINTS: Readonly<Record<string, Point>> = { "count-ignored": "claimed", "claim-taken-out": "started" };

/** A worker that stands at the point now; others are asked when the first has no occasion to pass it. */
async function standingAt(harness: Harness, point: Point): Promise<{ worker: Player; of: string | undefined }> {
  for (let tries = 0; tries < 60; tries++) {
    const worker = await harness.anyWorker();
    const hit = await worker.reaches(point, 3_000);
    if (hit !== undefined) return { worker, of: hit.of };
  }
  throw new Error(`nobody came to ${point} in three minutes`);
}

/** The worker that runs the frozen one's delivery now, standing at the same point; it may have to be started first. */
async function secondRun(harness: Harness, frozen: Player, point: Point, of: string): Promise<Player | undefined> {
  for (let tries = 0; tries < 5; tries++) {
    const other = harness.workers.find((one) => one !== frozen && one.alive);
    if (other === undefined) {
      await pause(100);
      continue;
    }
    await Promise.race([other.ready, other.ended]);
    if ((await other.reaches(point, LEASE_MS * 3, of)) === undefined) continue;
    harness.secondRuns.add(of);
    return other;
  }
  return undefined;
}

const faults: Readonly<Record<string, Faults>> = {
  "worker-kill": {
    about: "SIGKILL to a worker at each failpoint in turn",
    needs: {},
    points: POINTS,
    canaries: ["settle-apart"],
    async fault(harness, n) {
      const point = POINTS[n % POINTS.length] as Point;
      const { worker } = await standingAt(harness, point);
      worker.signal("SIGKILL");
      harness.hit(point);
      await worker.ended;
    },
  },
  "server-kill": {
    about: "SIGKILL to the process that accepts, before and after its COMMIT and at any moment",
    needs: {},
    points: SERVER_POINTS,
    canaries: ["early-2xx"],
    async fault(harness, n) {
      const point = SERVER_POINTS[n % 3];
      if (point === undefined) await pause(50 + 300 * harness.random());
      else if (await harness.server.reaches(point, 60_000)) harness.hit(point);
      harness.server.signal("SIGKILL");
      await harness.server.ended;
      await harness.startServer();
    },
  },
  "session-kill": {
    about: "pg_terminate_backend to sessions of ours",
    needs: {},
    points: [],
    canaries: ["settle-apart"],
    async fault(harness) {
      await pause(100 + 200 * harness.random());
      await harness.rows(
        `select pg_terminate_backend(pid) from (
           select pid from pg_stat_activity
           where datname = current_database() and application_name <> 'chaos-harness'
           order by (state <> 'idle') desc, random() limit 3
         ) picked`,
      );
    },
  },
  "pg-restart": {
    about: "PostgreSQL restarted: fast, immediate, and SIGKILL to all of its processes",
    needs: { embedded: true },
    points: [],
    canaries: ["not-durable"],
    async fault(harness, n) {
      await pause(500 + 500 * harness.random());
      if (harness.embedded !== undefined)
        await restartEmbedded(harness.embedded, (["kill", "immediate", "fast"] as const)[n % 3] ?? "kill");
      await harness.rows("select 1");
      await pause(500);
    },
  },
  "commit-cut": {
    about: "the line to PostgreSQL cut around COMMIT: before, after, in the middle, forwarded late, and without a word",
    needs: { proxy: true },
    points: [],
    canaries: ["plain-read", "2xx-on-unknown"],
    async fault(harness, n) {
      const { proxy } = harness;
      // That canary is about what a late COMMIT does to who asked too early.
      const onlyLate = harness.options.canary === "plain-read";
      const cut = onlyLate ? "late" : CUTS[n % CUTS.length];
      if (proxy === undefined || cut === undefined) return;
      // Late ones: some inside the session's idle timeout, so that they commit; the rest long after it.
      const soon = onlyLate || harness.random() < 0.5;
      const lateMs = soon
        ? 1_200 * harness.random()
        : LEASE_MS + 500 + (harness.options.count < 50 ? 1_000 : 17_000) * harness.random();
      proxy.arm(cut, lateMs, !onlyLate);
      await until("the cut", () => proxy.waiting === 0);
      await pause(60);
    },
    async after(harness) {
      const { proxy } = harness;
      if (proxy === undefined) return [];
      await until("all cuts done", () => proxy.outcomes.length >= harness.options.count).catch(() => {});
      const late = proxy.outcomes.filter((one) => one.cut === "late").map((one) => one.seen);
      if (harness.options.count < 50) return [];
      return (["committed", "ended"] as const)
        .filter((seen) => !late.includes(seen))
        .map((seen) => `no late COMMIT was seen to have ${seen}`);
    },
  },
  zombie: {
    about: "a worker frozen at four points until its work was taken over, and then let go",
    needs: {},
    points: ZOMBIE_POINTS,
    canaries: ["count-ignored", "claim-taken-out"],
    async fault(harness, n) {
      const point: Point =
        CANARY_POINTS[harness.options.canary ?? ""] ?? ZOMBIE_POINTS[n % ZOMBIE_POINTS.length] ?? "started";
      const { worker, of } = await standingAt(harness, point);
      worker.signal("SIGSTOP");
      harness.hit(point);
      const frozen = await harness.leases();
      // It wakes up while the newer execution of its delivery is running, or when all that it had is done by others.
      const other = of === undefined ? undefined : await secondRun(harness, worker, point, of);
      if (other === undefined) {
        await pause(LEASE_MS * 1.2);
        await harness.takenOver(frozen);
        await pause(300);
      }
      worker.signal("SIGCONT");
      worker.order({ release: true, frozen: true });
      await pause(500);
      other?.order({ release: true });
    },
    async after(harness) {
      const { rows } = await harness.rows<{ n: number }>(
        "select count(*)::int as n from nevertwice.attempt where outcome = 'superseded'",
      );
      const unproved = (rows[0]?.n ?? 0) > 0 ? [] : ["no attempt was superseded: nothing was proved"];
      // One fault in four has a chance of it, and chance it is: asked of a run that has several.
      if (harness.secondRuns.size === 0 && harness.options.count >= 20) {
        unproved.push("no zombie met a newer execution: nothing was proved");
      }
      return unproved;
    },
  },
};

async function playFaults(scenario: Faults, options: ChaosOptions): Promise<Played> {
  const harness = new Harness(options);
  const began = performance.now();
  try {
    await harness.start(scenario.needs);
    for (let n = 0; n < options.count; n++) {
      await scenario.fault(harness, n);
      await harness.faulted(harness.senders.acked.size);
      if (await harness.caughtAlready()) break;
    }
    const drained = await harness.drain();
    await harness.sawTheLast();
    if (options.canary === undefined) {
      harness.unexpected.push(...((await scenario.after?.(harness)) ?? []));
      harness.allHit(scenario.points, options.scenario === "worker-kill" && options.count >= 100 ? 10 : 1);
    }
    return { result: await verdict(harness, drained, performance.now() - began), unexpected: harness.unexpected };
  } finally {
    await harness.stop();
  }
}

export const scenarios: Readonly<Record<string, Scenario>> = {
  ...Object.fromEntries(
    Object.entries(faults).map(([name, one]) => [name, { ...one, play: (options) => playFaults(one, options) }]),
  ),
  "outbox-race": outboxRace,
  "schedule-kill": scheduleKill,
  deploy,
};

/** Runs a scenario once. */
export function runScenario(options: ChaosOptions): Promise<Played> {
  const scenario = scenarios[options.scenario];
  if (scenario === undefined)
    throw new Error(`there is no scenario ${options.scenario}; there are ${Object.keys(scenarios).join(", ")}`);
  return scenario.play(options);
}
