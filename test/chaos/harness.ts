// Runs a scenario: the product in processes of its own, senders, a provider, faults, and the verdict, which is made per
// message and from outside: what was acknowledged, what stands in tables without constraints, what the provider logged.
import { type ChildProcess, fork } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import pg from "pg";
import { type EmbeddedServer, startEmbedded } from "../../src/store/embedded/server.ts";
import { until } from "../support/database.ts";
import { canary, type CanaryName, type Fault } from "./canaries.ts";
import type { Order, Point, Report } from "./failpoints.ts";
import { type ChaosTopic, due, HOT_ROWS, TABLES } from "./handlers.ts";
import { Provider } from "./provider.ts";
import { Proxy } from "./proxy.ts";

export const LEASE_MS = 2_000;
const WORKERS = 2;
/** Work that is left over gets as long as it goes on: a loaded machine is slow, not stuck. */
const STUCK_MS = 30_000;
const DRAIN_MS = 240_000;

export interface ChaosOptions {
  readonly scenario: string;
  readonly count: number;
  readonly seed: number;
  readonly canary?: CanaryName | undefined;
  /** An administrator's URL; an embedded server is started where there is none. */
  readonly url?: string | undefined;
  readonly log: (line: string) => void;
}

export interface ChaosResult {
  readonly scenario: string;
  readonly attempted: number;
  readonly acked: number;
  readonly effects: number;
  readonly lost: number;
  readonly doubled: number;
  readonly unexpected: number;
  readonly recovered: number;
  readonly drained: boolean;
  readonly faults: number;
  readonly ms: number;
  readonly seed: number;
}

type Hit = Extract<Report, { readonly hit: Point }>;

/** A process of the product. */
export class Player {
  readonly role: "worker" | "server";
  readonly ready: Promise<string>;
  readonly #child: ChildProcess;
  readonly #onHit = new Set<(hit: Hit) => void>();
  readonly ended: Promise<void>;

  constructor(
    role: "worker" | "server",
    env: Record<string, string>,
    onReport: (report: Report) => void,
    onFailure: (why: string) => void,
  ) {
    this.role = role;
    this.#child = fork("test/chaos/process.ts", {
      env: { ...process.env, ...env, CHAOS_ROLE: role },
      stdio: ["ignore", "inherit", "pipe", "ipc"],
    });
    let errors = "";
    this.#child.stderr?.on("data", (chunk) => (errors += String(chunk)));
    this.ended = new Promise((resolve) => {
      this.#child.once("exit", (code, signal) => {
        // By SIGKILL it ends as it should. By itself it never does.
        if (signal !== "SIGKILL" && signal !== "SIGTERM")
          onFailure(`a ${role} ended with ${code ?? signal}: ${errors.slice(-500)}`);
        resolve();
      });
    });
    this.ready = new Promise((resolve) => {
      this.#child.on("message", (report: Report) => {
        if ("ready" in report) resolve(report.url ?? "");
        if ("hit" in report) for (const told of this.#onHit) told(report);
        onReport(report);
      });
    });
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  order(order: Order): void {
    if (this.#child.connected) this.#child.send(order, () => {});
  }

  /** What reached the point within the time; with `of` only that message's handler is waited for. */
  async reaches(point: Point, withinMs: number, of?: string): Promise<Hit | undefined> {
    this.order({ arm: point, of });
    return new Promise((resolve) => {
      const told = (hit: Hit): void => void (hit.hit === point && end(hit));
      const timer = setTimeout(() => end(undefined), withinMs);
      const end = (hit: Hit | undefined): void => {
        clearTimeout(timer);
        this.#onHit.delete(told);
        resolve(hit);
      };
      this.#onHit.add(told);
      void this.ended.then(() => end(undefined));
    });
  }
}

export class Harness {
  readonly options: ChaosOptions;
  readonly random: () => number;
  /** Newer executions that a zombie's retry took the delivery from. */
  newerFailed = 0;
  /** Keys of messages that a second worker was seen to run while the first one was frozen. */
  readonly secondRuns = new Set<string>();
  readonly hits = new Map<Point, number>();
  readonly unexpected: string[] = [];
  readonly provider: Provider;
  proxy: Proxy | undefined;
  embedded: EmbeddedServer | undefined;
  faults = 0;
  recovered = 0;
  workers: Player[] = [];
  server!: Player;
  pool!: pg.Pool;
  #url = "";
  #drop: () => Promise<void> = async () => {};
  #serverUrl = "";
  readonly #offered = new Map<string, ChaosTopic>();
  readonly #acked = new Set<string>();
  readonly #senders = new Set<Promise<void>>();
  #offering: NodeJS.Timeout | undefined;
  #stopping = false;
  #effectsAtFault = -1;

  constructor(options: ChaosOptions) {
    this.options = options;
    this.random = mulberry32(options.seed);
    this.provider = new Provider(mulberry32(options.seed + 1));
  }

  async start(needs: { proxy?: boolean; embedded?: boolean }): Promise<void> {
    const removed = canary(this.options.canary);
    const notDurable = removed?.pool !== undefined;
    let admin = this.options.url;
    let folder: string | undefined;
    if (admin === undefined || needs.embedded === true) {
      folder = await mkdtemp(path.join(os.tmpdir(), "nevertwice-chaos-"));
      // Without it PostgreSQL's own writer would make durable what the canary left to chance.
      const settings: Record<string, string> = notDurable ? { wal_writer_delay: "10000ms" } : {};
      this.embedded = await startEmbedded({ folder, settings });
      admin = this.embedded.url;
    }
    const name = `chaos_${randomUUID().slice(0, 8)}`;
    const control = new pg.Pool({ connectionString: admin, max: 1 });
    control.on("error", () => {});
    await control.query(`create database ${name}`);
    if (notDurable) await control.query(`alter database ${name} set synchronous_commit = off`);
    const url = new URL(admin);
    url.pathname = `/${name}`;
    this.#url = url.href;
    this.pool = new pg.Pool({ connectionString: url.href, max: 4, application_name: "chaos-harness" });
    this.pool.on("error", () => {});
    await this.pool.query(TABLES);
    this.#drop = async () => {
      await this.pool.end();
      await control.query(`drop database if exists ${name} with (force)`).catch(() => {});
      await control.end();
      if (this.embedded === undefined || folder === undefined) return;
      await this.embedded.leave();
      await rm(path.dirname(this.embedded.dataFolder), { recursive: true, force: true });
      await rm(folder, { recursive: true, force: true });
    };
    await this.provider.start();
    if (needs.proxy === true) {
      this.proxy = await new Proxy().start(url.href);
      this.#url = this.proxy.url;
    }
    await this.startServer();
    this.workers = Array.from({ length: WORKERS }, () => this.#worker());
    await Promise.all(this.workers.map((worker) => worker.ready));
    this.#offering = setInterval(() => this.#offer(), 40);
  }

  async startServer(): Promise<void> {
    this.server = this.#player("server");
    this.#serverUrl = await this.server.ready;
  }

  /** A worker that ended is replaced at once. */
  #worker(): Player {
    const player = this.#player("worker");
    void player.ended.then(() => {
      if (!this.#stopping) this.workers[this.workers.indexOf(player)] = this.#worker();
    });
    return player;
  }

  #player(role: "worker" | "server"): Player {
    const env = {
      CHAOS_URL: this.#url,
      CHAOS_PROVIDER: this.provider.url,
      CHAOS_LEASE_MS: String(LEASE_MS),
      CHAOS_CANARY: this.options.canary ?? "",
    };
    const onReport = (report: Report): void => {
      if ("recorded" in report) this.provider.record(report.recorded);
    };
    return new Player(role, env, onReport, (why) => {
      if (!this.#stopping) this.unexpected.push(why);
    });
  }

  async anyWorker(): Promise<Player> {
    const alive = this.workers.filter((one) => one.alive);
    const worker = alive[Math.floor(this.random() * alive.length)] ?? this.workers[0];
    if (worker === undefined) throw new Error("there are no workers");
    await Promise.race([worker.ready, worker.ended]);
    return worker;
  }

  /** Called after each fault: whether effects went on after the one before. */
  async faulted(): Promise<void> {
    this.faults++;
    const { rows } = await this.rows<{ n: number }>("select count(*)::int as n from chaos_effect");
    const effects = rows[0]?.n ?? 0;
    if (this.#effectsAtFault >= 0 && effects > this.#effectsAtFault) this.recovered++;
    this.#effectsAtFault = effects;
    if (this.faults % 10 === 0 || this.faults === this.options.count) {
      this.options.log(
        `${this.options.scenario}: ${this.faults} of ${this.options.count} faults, ${this.#acked.size} acknowledged, ${effects} effects`,
      );
    }
  }

  hit(point: Point): void {
    this.hits.set(point, (this.hits.get(point) ?? 0) + 1);
  }

  /** A statement of the harness's own; the database may be away for a moment. */
  async rows<Row extends pg.QueryResultRow>(text: string): Promise<pg.QueryResult<Row>> {
    for (let tries = 0; ; tries++) {
      try {
        return await this.pool.query<Row>(text);
      } catch (error) {
        if (tries === 100) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }

  #offer(): void {
    for (let i = 0; i < 6; i++) {
      const n = this.#offered.size;
      const luck = this.random();
      // Two that kill their process for a while, one that always does, and the rest in a fixed proportion.
      let topic: ChaosTopic =
        luck < 0.35 ? "grouped" : luck < 0.45 ? "alone" : luck < 0.65 ? "step" : luck < 0.85 ? "hot" : "flaky";
      if (n === 30 || n === 700) topic = "poison";
      if (n === 60) topic = "deadly";
      const key = `${topic}-${n}-${randomUUID().slice(0, 8)}`;
      this.#offered.set(key, topic);
      const sent = this.#send(key, topic).finally(() => this.#senders.delete(sent));
      this.#senders.add(sent);
    }
  }

  /** As providers do: again on anything but 2xx. A tenth sends a copy beside it. */
  async #send(key: string, topic: ChaosTopic): Promise<void> {
    const copies = this.random() < 0.1 ? 2 : 1;
    await Promise.all(
      Array.from({ length: copies }, async () => {
        for (let tries = 0; tries < 60; tries++) {
          try {
            const response = await fetch(`${this.#serverUrl}/in/in`, {
              method: "POST",
              body: "{}",
              headers: { "x-id": key, "x-topic": topic },
              signal: AbortSignal.timeout(5_000),
            });
            await response.arrayBuffer();
            if (response.ok) {
              this.#acked.add(key);
              return;
            }
          } catch {
            // No answer: it cannot know.
          }
          await new Promise((resolve) => setTimeout(resolve, 300));
          if (this.#stopping) return;
        }
      }),
    );
  }

  /** Waits until no lease is over that nobody has taken over. */
  async takenOver(): Promise<void> {
    await until(
      "all taken over",
      async () =>
        (
          await this.rows(
            "select from nevertwice.delivery where state = 'leased' and due_at < clock_timestamp() limit 1",
          )
        ).rows.length === 0,
    ).catch(() => {});
  }

  /** No more messages; waits until all that is owed is settled. */
  async drain(): Promise<boolean> {
    clearInterval(this.#offering);
    await Promise.all(this.#senders);
    let [least, leastAt, began] = [Infinity, performance.now(), performance.now()];
    for (;;) {
      const { rows } = await this.rows<{ n: number }>("select count(*)::int as n from nevertwice.delivery");
      const left = rows[0]?.n ?? 1;
      const now = performance.now();
      if (left === 0) return true;
      if (left < least) [least, leastAt] = [left, now];
      if (now - leastAt > STUCK_MS || now - began > DRAIN_MS) return false;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** The last fault has nobody after it to see that effects went on. */
  async sawTheLast(): Promise<void> {
    const { rows } = await this.rows<{ n: number }>("select count(*)::int as n from chaos_effect");
    if ((rows[0]?.n ?? 0) > this.#effectsAtFault) this.recovered++;
  }

  async verdict(drained: boolean, ms: number): Promise<ChaosResult> {
    const found = await this.rows<{ message: string; kind: string; times: number }>(
      "select message, kind, count(*)::int as times from chaos_effect group by message, kind",
    );
    const times = new Map(found.rows.map((row) => [`${row.message} ${row.kind}`, row.times]));
    let lost = 0;
    let doubled = 0;
    for (const [key, topic] of this.#offered) {
      const counts = due(topic).map((kind) => times.get(`${key} ${kind}`) ?? 0);
      const keys = this.provider.charged.get(key)?.size ?? 0;
      if (this.#acked.has(key) && (counts.some((n) => n === 0) || (topic === "step" && keys === 0))) lost++;
      if (counts.some((n) => n > 1) || keys > 1) doubled++;
    }
    for (const row of found.rows) {
      const topic = this.#offered.get(row.message);
      if (topic === undefined || !due(topic).includes(row.kind))
        this.unexpected.push(`an effect ${row.kind} of ${row.message}`);
    }
    const hot = await this.rows<{ n: number }>("select sum(n)::int as n from chaos_hot");
    const hotEffects = found.rows.filter((row) => row.kind === "hot").reduce((sum, row) => sum + row.times, 0);
    if ((hot.rows[0]?.n ?? 0) !== hotEffects)
      this.unexpected.push(`${hot.rows[0]?.n} on ${HOT_ROWS} hot rows, ${hotEffects} effects`);
    if (this.provider.afterRecorded > 0)
      this.unexpected.push(`${this.provider.afterRecorded} requests after their result was recorded`);
    // Each was being run by a second worker when the first one woke up and asked for a retry: that must touch nothing.
    const keys = [...this.secondRuns].map((key) => `'${key}'`).join(", ") || "null";
    const failed = await this.rows<{ n: number }>(
      `select count(*)::int as n
       from nevertwice.attempt a
       join nevertwice.message m on m.id = a.message_id
       where m.key in (${keys}) and a.outcome = 'retry' and a.error like '%frozen%'
         and a.ended_at - a.started_at > interval '${LEASE_MS} milliseconds'`,
    );
    this.newerFailed = failed.rows[0]?.n ?? 0;
    if (this.newerFailed > 0) this.unexpected.push(`${this.newerFailed} newer executions failed by a zombie`);
    const effects = found.rows.reduce((sum, row) => sum + row.times, 0);
    return {
      scenario: this.options.scenario,
      attempted: this.#offered.size,
      acked: this.#acked.size,
      effects,
      lost,
      doubled,
      unexpected: this.unexpected.length,
      recovered: this.recovered,
      drained,
      faults: this.faults,
      ms: Math.round(ms),
      seed: this.options.seed,
    };
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#offering);
    const players = [this.server, ...this.workers].filter((player) => player?.alive);
    for (const player of players) player.signal("SIGKILL");
    await Promise.all(players.map((player) => player.ended));
    this.provider.stop();
    this.proxy?.stop();
    await this.#drop();
  }
}

/** Whether a canary was caught for its reason. */
export function caught(name: CanaryName, result: ChaosResult, unexpected: readonly string[]): boolean {
  const found: Record<Fault, boolean> = {
    lost: result.lost > 0,
    doubled: result.doubled > 0,
    "newer-failed": unexpected.some((sentence) => sentence.includes("newer executions failed")),
  };
  return canary(name)?.reasons.some((reason) => found[reason]) ?? false;
}

function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
