// Rolling deploys: an old version and a new one beside each other, on one schema that the new one migrates, while senders go on.
//
// The oracle: what was acknowledged has each of its effects once, whoever accepted and whoever ran it. A consumer that only the new
// version has gets everything that was offered after its row was seen, from old processes too, and nothing of what was acknowledged
// before the new version was there.
import pg from "pg";
import { Connections } from "../../src/store/connections.ts";
import { migrate, migrations } from "../../src/store/migrate.ts";
import { keepingLogger } from "../support/logger.ts";
import type { Point } from "./failpoints.ts";
import { type ChaosTopic, due, HOT_ROWS } from "./handlers.ts";
import type { Player } from "./player.ts";
import { Provider } from "./provider.ts";
import { mulberry32 } from "./random.ts";
import { type ChaosOptions, pause, type Played, Run } from "./run.ts";
import type { Scenario } from "./scenarios.ts";
import { Senders } from "./senders.ts";

const SCRIPT = "test/chaos/deploy-process.ts";
const KILLED_AT: readonly Point[] = ["in-tx", "claimed", "settled", "commit-sent", "after-request"];
type Version = "old" | "new";

/** One deploy, on a schema of its own, from the old version to the new one. */
class Deploy {
  readonly run: Deploys;
  readonly schema: string;
  readonly senders: Senders;
  readonly up: Record<Version, Player[]> = { old: [], new: [] };
  /** What was acknowledged before a new process was started, and how many had been offered when its consumers were seen. */
  ackedBefore: ReadonlySet<string> | undefined;
  offeredBefore = Infinity;
  readonly #urls = new Map<Player, string>();
  #over = false;

  constructor(run: Deploys, n: number) {
    this.run = run;
    this.schema = `deploy_${n}`;
    const topic = (luck: number): ChaosTopic =>
      luck < 0.4 ? "grouped" : luck < 0.6 ? "step" : luck < 0.8 ? "hot" : luck < 0.9 ? "alone" : "flaky";
    this.senders = new Senders(run.random, () => this.#anyUrl(), topic);
  }

  #anyUrl(): string {
    const urls = [...this.#urls.values()];
    return urls[Math.floor(this.run.random() * urls.length)] ?? "http://127.0.0.1:1";
  }

  async begin(): Promise<void> {
    const pool = new pg.Pool({ connectionString: this.run.url, max: 1 });
    const known = await migrations(this.schema);
    await migrate(new Connections(pool, this.schema, keepingLogger(), false), this.schema, "auto", known.slice(0, -1));
    await pool.end();
    await this.start("old", 2);
    // A deploy is over when all is settled: a machine that is slower than the senders is not left with much.
    this.senders.mostOwed = 150;
    this.senders.start();
    void this.#count();
    await this.goesOn();
  }

  async #count(): Promise<void> {
    while (!this.#over) {
      this.senders.owed = await this.run.owedIn(this.schema).catch(() => this.senders.owed);
      await pause(200);
    }
  }

  async start(version: Version, n: number, changed = false): Promise<readonly Player[]> {
    if (version === "new") this.ackedBefore ??= new Set(this.senders.acked);
    const started = Array.from({ length: n }, () => this.process(version, changed));
    await Promise.all(started.map((one) => Promise.race([one.ready, one.ended])));
    if (version === "new" && this.offeredBefore === Infinity && started.some((one) => one.alive)) {
      this.offeredBefore = this.senders.offered.size;
    }
    return started;
  }

  process(version: Version, changed: boolean): Player {
    const env = {
      CHAOS_PROVIDER: this.run.provider.url,
      CHAOS_SCHEMA: this.schema,
      CHAOS_CHANGED: changed ? "yes" : "",
    };
    const player = this.run.player(
      version,
      env,
      (report) => {
        if ("recorded" in report) this.run.provider.record(report.recorded);
      },
      SCRIPT,
    );
    this.up[version].push(player);
    void player.ready.then((url) => this.#urls.set(player, url));
    void player.ended.then(() => {
      this.#urls.delete(player);
      this.up[version].splice(this.up[version].indexOf(player), 1);
    });
    return player;
  }

  /** As a deploy does it: asked to stop, it ends what it has begun. */
  async ask(version: Version): Promise<void> {
    const [one] = this.up[version];
    one?.signal("SIGTERM");
    await one?.ended;
  }

  /** In the middle of what it does, where that comes by within a while. */
  async kill(version: Version): Promise<void> {
    const [one] = this.up[version];
    const point = KILLED_AT[Math.floor(this.run.random() * KILLED_AT.length)] ?? "in-tx";
    if ((await one?.reaches(point, 3_000)) !== undefined) this.run.hit(point);
    one?.signal("SIGKILL");
    await one?.ended;
  }

  /** Before the next step something is accepted, and something takes effect, in the state that this one left. */
  async goesOn(): Promise<void> {
    const { acked } = this.senders;
    const [before, effects] = [acked.size, await this.run.effects()];
    for (let tries = 0; tries < 100; tries++) {
      if (acked.size >= before + 20 && (await this.run.effects()) >= effects + 20) return;
      await pause(50);
    }
  }

  stop(): void {
    this.#over = true;
    this.senders.stop();
  }

  /** The new version is there, alone or not; what it alone handles is handled, and all is settled. */
  async end(): Promise<boolean> {
    if (this.up.new.length === 0) await this.start("new", 1);
    await this.senders.finish();
    this.run.schema = this.schema;
    const settled = await this.run.settled();
    this.stop();
    const left = [...this.up.old, ...this.up.new];
    for (const one of left) one.signal("SIGTERM");
    await Promise.all(left.map((one) => one.ended));
    return settled;
  }
}

/** The steps of a deploy, each of which is a fault. */
const STEPS: readonly ((deploy: Deploy, random: () => number) => Promise<unknown>)[] = [
  // Two at once migrate beside the old ones, and now and then one of them is killed at it.
  async (deploy, random) => {
    const starting = deploy.start("new", 2);
    if (random() < 0.5) {
      await pause(1_000 * random());
      deploy.up.new[0]?.signal("SIGKILL");
    }
    await starting;
    if (deploy.up.new.length === 0) await deploy.start("new", 1);
  },
  (deploy) => deploy.kill("old"),
  // What the orchestrator does when an old one has ended: it starts on the schema that is there now.
  (deploy) => deploy.start("old", 1),
  (deploy) => deploy.ask("old"),
  (deploy) => deploy.start("new", 1, true),
  (deploy) => deploy.kill("new"),
  // Rolled back: the old version alone, on the newer schema.
  async (deploy) => {
    await deploy.start("old", 1);
    while (deploy.up.new.length > 1) await deploy.kill("new");
    await deploy.ask("new");
  },
  (deploy) => deploy.start("new", 2),
  (deploy) => deploy.kill("old"),
  (deploy) => deploy.ask("old"),
];

class Deploys extends Run {
  readonly provider = new Provider(mulberry32(this.options.seed + 1));
  readonly deploys: Deploy[] = [];
  schema = "";

  async effects(): Promise<number> {
    const { rows } = await this.rows<{ n: number }>("select count(*)::int as n from chaos_effect");
    return rows[0]?.n ?? 0;
  }

  override owed(): Promise<number> {
    return this.owedIn(this.schema);
  }

  async owedIn(schema: string): Promise<number> {
    const { rows } = await this.pool.query<{ n: number }>(`select count(*)::int as n from ${schema}.delivery`);
    return rows[0]?.n ?? 1;
  }

  acked(): number {
    return this.deploys.reduce((sum, one) => sum + one.senders.acked.size, 0);
  }
}

async function play(options: ChaosOptions): Promise<Played> {
  const run = new Deploys(options);
  const began = performance.now();
  try {
    await run.open();
    await run.provider.start();
    let drained = true;
    for (let n = 0; n < options.count; n++) {
      const step = STEPS[n % STEPS.length];
      if (n % STEPS.length === 0) {
        if (n > 0) drained = (await run.deploys.at(-1)?.end()) === true && drained;
        run.deploys.push(new Deploy(run, run.deploys.length));
        await run.deploys.at(-1)?.begin();
      }
      const deploy = run.deploys.at(-1);
      if (deploy === undefined || step === undefined) continue;
      await step(deploy, run.random);
      await deploy.goesOn();
      await run.faulted(run.acked());
    }
    drained = (await run.deploys.at(-1)?.end()) === true && drained;
    await run.sawTheLast();
    return await verdict(run, drained, began);
  } finally {
    for (const one of run.deploys) one.stop();
    run.provider.stop();
    await run.stop();
  }
}

async function verdict(run: Deploys, drained: boolean, began: number): Promise<Played> {
  const { unexpected, provider } = run;
  const found = await run.rows<{ message: string; kind: string; times: number }>(
    "select message, kind, count(*)::int as times from chaos_effect group by message, kind",
  );
  const times = new Map(found.rows.map((row) => [`${row.message} ${row.kind}`, row.times]));
  const known = new Map(run.deploys.flatMap(({ senders }) => [...senders.offered]));
  let [lost, doubled] = [0, 0];
  for (const { senders, ackedBefore, offeredBefore } of run.deploys) {
    for (const [n, [key, topic]] of [...senders.offered].entries()) {
      const had = (kind: string): number => times.get(`${key} ${kind}`) ?? 0;
      const since = n >= offeredBefore ? NEW_KINDS.filter((kind) => kind === "audit" || topic === "step") : [];
      const owed = [...due(topic), ...since];
      const keys = provider.charged.get(key)?.size ?? 0;
      if (senders.acked.has(key) && (owed.some((kind) => had(kind) === 0) || (topic === "step" && keys === 0))) lost++;
      if ([...due(topic), ...NEW_KINDS].some((kind) => had(kind) > 1) || keys > 1) doubled++;
      // What was acknowledged before the new version came is no business of its consumers.
      if (ackedBefore?.has(key) === true && had("audit") > 0)
        unexpected.push(`${key} was older than its consumer audit`);
    }
  }
  for (const { message, kind } of found.rows) {
    const topic = known.get(message);
    const kinds = topic === undefined ? [] : [...due(topic), ...NEW_KINDS];
    if (!kinds.includes(kind)) unexpected.push(`an effect ${kind} of ${message}`);
  }
  const hot = await run.rows<{ n: number }>("select sum(n)::int as n from chaos_hot");
  const effects = found.rows.reduce((sum, row) => sum + row.times, 0);
  const hotEffects = found.rows.filter((row) => row.kind === "hot").reduce((sum, row) => sum + row.times, 0);
  if (hot.rows[0]?.n !== hotEffects)
    unexpected.push(`${hot.rows[0]?.n} on ${HOT_ROWS} hot rows, ${hotEffects} effects`);
  if (provider.afterRecorded > 0) unexpected.push(`${provider.afterRecorded} requests after their result was recorded`);
  if (run.options.count >= 2 * STEPS.length && run.hits.size < 2)
    unexpected.push("none was killed at two points: nothing was proved");
  const counts = { attempted: known.size, acked: run.acked(), effects, lost, doubled };
  return { result: run.result(counts, { drained, ms: performance.now() - began }), unexpected };
}

/** Of the consumers that only the new version has. */
const NEW_KINDS = ["audit", "watch"];

export const deploy: Scenario = {
  about: "rolling deploys: old and new beside each other, migrated under load, killed, stopped, rolled back",
  needs: {},
  canaries: ["remembered"],
  play,
};
