// What every scenario has: a database of its own, processes, the count of its faults, and the wait until all is settled.
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import pg from "pg";
import { type EmbeddedServer, startEmbedded } from "../../src/store/embedded/server.ts";
import { canary, type CanaryName } from "./canaries.ts";
import type { Point, Report } from "./failpoints.ts";
import { TABLES } from "./handlers.ts";
import { Player } from "./player.ts";
import { mulberry32 } from "./random.ts";
import type { ChaosResult } from "./verdict.ts";

export const LEASE_MS = 2_000;
/** Work that is left over gets as long as it goes on: a loaded machine is slow, not stuck. */
const STUCK_MS = 30_000;
/** Of what a canary leaves for ever. */
const CANARY_STUCK_MS = 8_000;
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

export interface Played {
  readonly result: ChaosResult;
  /** Sentences about what was not expected. */
  readonly unexpected: readonly string[];
}

export class Run {
  readonly options: ChaosOptions;
  readonly random: () => number;
  readonly hits = new Map<Point, number>();
  readonly unexpected: string[] = [];
  readonly players = new Set<Player>();
  embedded: EmbeddedServer | undefined;
  faults = 0;
  recovered = 0;
  pool!: pg.Pool;
  /** Of the database, for the processes. */
  url = "";
  protected stopping = false;
  #drop: () => Promise<void> = async () => {};
  #effectsAtFault = -1;

  constructor(options: ChaosOptions) {
    this.options = options;
    this.random = mulberry32(options.seed);
  }

  /** Makes the database. One whose canary is not durable gets a server that hides nothing of it. */
  async open(needs: { embedded?: boolean; durable?: boolean } = {}): Promise<void> {
    const durable = needs.durable ?? true;
    let admin = this.options.url;
    let folder: string | undefined;
    if (admin === undefined || needs.embedded === true) {
      folder = await mkdtemp(path.join(os.tmpdir(), "nevertwice-chaos-"));
      // Without them PostgreSQL's own writer would make durable what the canary left to chance.
      const settings: Record<string, string> = durable
        ? {}
        : { wal_writer_delay: "10000ms", wal_writer_flush_after: "1GB" };
      this.embedded = await startEmbedded({ folder, settings });
      admin = this.embedded.url;
    }
    const name = `chaos_${randomUUID().slice(0, 8)}`;
    const control = new pg.Pool({ connectionString: admin, max: 1 });
    control.on("error", () => {});
    await control.query(`create database ${name}`);
    if (!durable) await control.query(`alter database ${name} set synchronous_commit = off`);
    const url = new URL(admin);
    url.pathname = `/${name}`;
    this.url = url.href;
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
  }

  /** A process of the product. What it says that was not asked of it is not expected. */
  player(
    role: string,
    env: Record<string, string>,
    onReport: (report: Report) => void = () => {},
    script?: string,
  ): Player {
    const common = { CHAOS_URL: this.url, CHAOS_LEASE_MS: String(LEASE_MS), CHAOS_CANARY: this.options.canary ?? "" };
    const onFailure = (why: string): void => {
      if (!this.stopping) this.unexpected.push(why);
    };
    const player = new Player(role, { ...common, ...env }, onReport, onFailure, script);
    this.players.add(player);
    void player.ended.then(() => this.players.delete(player));
    return player;
  }

  async owed(): Promise<number> {
    const { rows } = await this.pool.query<{ n: number }>("select count(*)::int as n from nevertwice.delivery");
    return rows[0]?.n ?? 1;
  }

  /** Called after each fault: whether effects went on after the one before. */
  async faulted(acknowledged?: number): Promise<void> {
    this.faults++;
    const effects = await this.#effects();
    if (this.#effectsAtFault >= 0 && effects > this.#effectsAtFault) this.recovered++;
    this.#effectsAtFault = effects;
    if (this.faults % 10 === 0 || this.faults === this.options.count) {
      const acked = acknowledged === undefined ? "" : `${acknowledged} acknowledged, `;
      this.options.log(
        `${this.options.scenario}: ${this.faults} of ${this.options.count} faults, ${acked}${effects} effects`,
      );
    }
  }

  /** Gives it a while to go on after a fault, before the next one. */
  async goesOn(): Promise<void> {
    for (let tries = 0; tries < 60 && (await this.#effects()) <= this.#effectsAtFault; tries++) await pause(50);
  }

  /** The last fault has nobody after it to see that effects went on. */
  async sawTheLast(): Promise<void> {
    if ((await this.#effects()) > this.#effectsAtFault) this.recovered++;
  }

  async #effects(): Promise<number> {
    const { rows } = await this.rows<{ n: number }>("select count(*)::int as n from chaos_effect");
    return rows[0]?.n ?? 0;
  }

  hit(point: Point): void {
    this.hits.set(point, (this.hits.get(point) ?? 0) + 1);
  }

  /** Whether each of these points was hit so often; a run that is smaller than their number need not have hit any. */
  allHit(points: readonly Point[], least: number): void {
    for (const point of this.options.count >= points.length ? points : []) {
      const hits = this.hits.get(point) ?? 0;
      if (hits < least) this.unexpected.push(`failpoint ${point} was hit ${hits} times, not ${least}`);
    }
  }

  /** A statement of the harness's own; the database may be away for a moment. */
  async rows<Row extends pg.QueryResultRow>(text: string): Promise<pg.QueryResult<Row>> {
    for (let tries = 0; ; tries++) {
      try {
        return await this.pool.query<Row>(text);
      } catch (error) {
        if (tries === 100) throw error;
        await pause(100);
      }
    }
  }

  /** Whether a canary needs no more: what took effect twice stays so, whatever comes after it. */
  async caughtAlready(): Promise<boolean> {
    if (canary(this.options.canary)?.reasons.includes("doubled") !== true) return false;
    const found = await this.rows("select from chaos_effect group by message, kind having count(*) > 1 limit 1");
    return found.rows.length > 0;
  }

  /** Waits until all that is owed is settled. */
  async settled(): Promise<boolean> {
    const stuckMs = canary(this.options.canary)?.leaves === true ? CANARY_STUCK_MS : STUCK_MS;
    let [least, leastAt, began] = [Infinity, performance.now(), performance.now()];
    for (;;) {
      const left = await this.owed().catch(() => Infinity);
      const now = performance.now();
      if (left === 0) return true;
      if (await this.caughtAlready()) return false;
      if (left < least) [least, leastAt] = [left, now];
      if (now - leastAt > stuckMs || now - began > DRAIN_MS) return false;
      await pause(50);
    }
  }

  result(counts: Pick<ChaosResult, "attempted" | "acked" | "effects" | "lost" | "doubled">, rest: Rest): ChaosResult {
    const { scenario, seed } = this.options;
    const { unexpected, recovered, faults } = this;
    return {
      scenario,
      ...counts,
      unexpected: unexpected.length,
      recovered,
      drained: rest.drained,
      faults,
      ms: Math.round(rest.ms),
      seed,
    };
  }

  async stop(): Promise<void> {
    this.stopping = true;
    const players = [...this.players];
    for (const player of players) player.signal("SIGKILL");
    await Promise.all(players.map((player) => player.ended));
    await this.#drop();
  }
}

interface Rest {
  readonly drained: boolean;
  readonly ms: number;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
