// What a scenario runs in: a database, the product in processes of its own, senders, a provider, and the counts of what went
// on. The faults are in scenarios.ts, the verdict in verdict.ts.
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import pg from "pg";
import { type EmbeddedServer, startEmbedded } from "../../src/store/embedded/server.ts";
import { until } from "../support/database.ts";
import { canary, type CanaryName } from "./canaries.ts";
import type { Point, Report } from "./failpoints.ts";
import { TABLES } from "./handlers.ts";
import { Player } from "./player.ts";
import { Provider } from "./provider.ts";
import { Proxy } from "./proxy.ts";
import { mulberry32 } from "./random.ts";
import { Senders } from "./senders.ts";

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

export class Harness {
  readonly options: ChaosOptions;
  readonly random: () => number;
  /** Keys of messages that a second worker was seen to run while the first one was frozen. */
  readonly secondRuns = new Set<string>();
  readonly hits = new Map<Point, number>();
  readonly unexpected: string[] = [];
  readonly provider: Provider;
  readonly senders: Senders;
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
  #counting: Promise<void> | undefined;
  #stopping = false;
  #effectsAtFault = -1;

  constructor(options: ChaosOptions) {
    this.options = options;
    this.random = mulberry32(options.seed);
    this.provider = new Provider(mulberry32(options.seed + 1));
    this.senders = new Senders(this.random, () => this.#serverUrl);
  }

  async start(needs: { proxy?: boolean; embedded?: boolean }): Promise<void> {
    const removed = canary(this.options.canary);
    const notDurable = removed?.pool !== undefined;
    let admin = this.options.url;
    let folder: string | undefined;
    if (admin === undefined || needs.embedded === true) {
      folder = await mkdtemp(path.join(os.tmpdir(), "nevertwice-chaos-"));
      // Without them PostgreSQL's own writer would make durable what the canary left to chance.
      const settings: Record<string, string> = notDurable
        ? { wal_writer_delay: "10000ms", wal_writer_flush_after: "1GB" }
        : {};
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
    // Without it the canary loses the tables and the consumers too, and nobody could say what became of the messages.
    if (notDurable) await this.pool.query("checkpoint");
    this.senders.start();
    this.#counting = this.#count();
  }

  /** Tells the senders how much is outstanding; while the database is away, what it was before. */
  async #count(): Promise<void> {
    while (!this.#stopping) {
      this.senders.owed = (await this.owed().catch(() => undefined)) ?? this.senders.owed;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  async owed(): Promise<number> {
    const { rows } = await this.pool.query<{ n: number }>("select count(*)::int as n from nevertwice.delivery");
    return rows[0]?.n ?? 1;
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
        `${this.options.scenario}: ${this.faults} of ${this.options.count} faults, ${this.senders.acked.size} acknowledged, ${effects} effects`,
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

  /** What is leased now, with the token of each lease. */
  async leases(): Promise<readonly string[]> {
    const { rows } = await this.rows<{ lease: string }>(
      "select id || ' ' || claim as lease from nevertwice.delivery where state = 'leased'",
    );
    return rows.map((row) => row.lease);
  }

  /** Waits until none of these leases is over that nobody has taken over. */
  async takenOver(leases: readonly string[]): Promise<void> {
    const these = leases.map((lease) => `'${lease}'`).join(", ") || "null";
    const over = `select from nevertwice.delivery
      where state = 'leased' and due_at < clock_timestamp() and id || ' ' || claim in (${these}) limit 1`;
    // What is never taken over is seen by the drain.
    await until("all taken over", async () => (await this.rows(over)).rows.length === 0, 20_000).catch(() => {});
  }

  /** Whether a canary needs no more: what took effect twice stays so, whatever comes after it. */
  async caughtAlready(): Promise<boolean> {
    if (canary(this.options.canary)?.reasons.includes("doubled") !== true) return false;
    const found = await this.rows("select from chaos_effect group by message, kind having count(*) > 1 limit 1");
    return found.rows.length > 0;
  }

  /** No more messages; waits until all that is owed is settled. */
  async drain(): Promise<boolean> {
    await this.senders.finish();
    let [least, leastAt, began] = [Infinity, performance.now(), performance.now()];
    for (;;) {
      const left = await this.owed().catch(() => Infinity);
      const now = performance.now();
      if (left === 0) return true;
      if (await this.caughtAlready()) return false;
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

  async stop(): Promise<void> {
    this.#stopping = true;
    this.senders.stop();
    await this.#counting;
    const players = [this.server, ...this.workers].filter((player) => player?.alive);
    for (const player of players) player.signal("SIGKILL");
    await Promise.all(players.map((player) => player.ended));
    this.provider.stop();
    this.proxy?.stop();
    await this.#drop();
  }
}
