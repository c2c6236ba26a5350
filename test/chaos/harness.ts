// What a scenario runs in: a database, the product in processes of its own, senders, a provider, and the counts of what went
// on. The faults are in scenarios.ts, the verdict in verdict.ts.
import { until } from "../support/database.ts";
import { canary } from "./canaries.ts";
import type { Report } from "./failpoints.ts";
import type { Player } from "./player.ts";
import { Provider } from "./provider.ts";
import { Proxy } from "./proxy.ts";
import { mulberry32 } from "./random.ts";
import { type ChaosOptions, pause, Run } from "./run.ts";
import { Senders } from "./senders.ts";

const WORKERS = 2;

export class Harness extends Run {
  /** Keys of messages that a second worker was seen to run while the first one was frozen. */
  readonly secondRuns = new Set<string>();
  readonly provider: Provider;
  readonly senders: Senders;
  proxy: Proxy | undefined;
  workers: Player[] = [];
  server!: Player;
  #serverUrl = "";
  #counting: Promise<void> | undefined;

  constructor(options: ChaosOptions) {
    super(options);
    this.provider = new Provider(mulberry32(options.seed + 1));
    this.senders = new Senders(this.random, () => this.#serverUrl);
  }

  async start(needs: { proxy?: boolean; embedded?: boolean }): Promise<void> {
    const durable = canary(this.options.canary)?.pool === undefined;
    await this.open({ embedded: needs.embedded ?? false, durable });
    await this.provider.start();
    if (needs.proxy === true) {
      this.proxy = await new Proxy().start(this.url);
      this.url = this.proxy.url;
    }
    await this.startServer();
    this.workers = Array.from({ length: WORKERS }, () => this.#worker());
    await Promise.all(this.workers.map((worker) => worker.ready));
    // Without it the canary loses the tables and the consumers too, and nobody could say what became of the messages.
    if (!durable) await this.pool.query("checkpoint");
    this.senders.start();
    this.#counting = this.#count();
  }

  /** Tells the senders how much is outstanding; while the database is away, what it was before. */
  async #count(): Promise<void> {
    while (!this.stopping) {
      this.senders.owed = (await this.owed().catch(() => undefined)) ?? this.senders.owed;
      await pause(200);
    }
  }

  async startServer(): Promise<void> {
    this.server = this.#process("server");
    this.#serverUrl = await this.server.ready;
  }

  /** A worker that ended is replaced at once. */
  #worker(): Player {
    const player = this.#process("worker");
    void player.ended.then(() => {
      if (!this.stopping) this.workers[this.workers.indexOf(player)] = this.#worker();
    });
    return player;
  }

  #process(role: "worker" | "server"): Player {
    return this.player(role, { CHAOS_PROVIDER: this.provider.url }, (report: Report) => {
      if ("recorded" in report) this.provider.record(report.recorded);
    });
  }

  async anyWorker(): Promise<Player> {
    const alive = this.workers.filter((one) => one.alive);
    const worker = alive[Math.floor(this.random() * alive.length)] ?? this.workers[0];
    if (worker === undefined) throw new Error("there are no workers");
    await Promise.race([worker.ready, worker.ended]);
    return worker;
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

  /** No more messages; waits until all that is owed is settled. */
  async drain(): Promise<boolean> {
    await this.senders.finish();
    return this.settled();
  }

  override async stop(): Promise<void> {
    this.stopping = true;
    this.senders.stop();
    await this.#counting;
    this.provider.stop();
    this.proxy?.stop();
    await super.stop();
  }
}
