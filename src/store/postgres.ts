import { defaults } from "../core/defaults.ts";
import { fault } from "../core/errors.ts";
import type { Logger } from "../core/ports/logger.ts";
import type { ChildrenStore } from "../core/ports/children.ts";
import type { OutboxTx } from "../core/ports/outbox.ts";
import type { ScheduleStore } from "../core/ports/schedules.ts";
import type {
  Arrival,
  Cancelled,
  Claim,
  Claimed,
  ConsumerDeclaration,
  Durability,
  Outcome,
  Put,
  QueryResult,
  Settlement,
  StepBegun,
  Store,
  Transaction,
  TransactionLimits,
  Want,
} from "../core/ports/store.ts";
import { sqlState } from "../core/sql-state.ts";
import { accept, countCopies, type Run } from "./accept.ts";
import { PostgresChildren } from "./children.ts";
import { claim, nextDueMs, renew, takeOver } from "./claim.ts";
import { Connections, SharedConnection } from "./connections.ts";
import type { PoolLike } from "./driver.ts";
import { cancelMessage, note, outcomes, pauseConsumer } from "./job.ts";
import { channel, HINT, listen } from "./listen.ts";
import { migrate, migrations } from "./migrate.ts";
import { sendIn } from "./outbox.ts";
import { Preparing } from "./preparing.ts";
import { PostgresSchedules } from "./schedule.ts";
import { recordSuperseded, resolve, type Resolution, settle } from "./settle.ts";
import { beginStep, finishStep } from "./step.ts";
import { Tidy } from "./tidy.ts";
import { begin } from "./transaction.ts";

const INSPECT = `-- inspect
select
  current_setting('server_version') as server_version,
  current_setting('fsync') as fsync,
  current_setting('synchronous_commit') as synchronous_commit,
  current_setting('default_transaction_isolation') as isolation,
  pg_is_in_recovery() as in_recovery,
  extract(epoch from clock_timestamp()) * 1000 as ms`;

// declare: registers a consumer, or marks it as declared. $1 name, $2 source, $3 topic, $4 topic as a LIKE pattern.
const DECLARE = `-- declare
with setting as materialized (
  select
    case
      when current_setting('synchronous_commit') in ('off', 'local', 'remote_write')
      then set_config('synchronous_commit', 'on', true)
    end,
    nevertwice.clock() as now
)
insert into nevertwice.consumer as c (name, source, topic, topic_like, registered_at, declared_at)
select $1, $2, $3, $4, now, now
from setting
on conflict (name) do update
set
  topic = excluded.topic,
  topic_like = excluded.topic_like,
  registered_at = case
    when c.retired_at is null and c.topic_like = excluded.topic_like then c.registered_at
    else excluded.registered_at
  end,
  retired_at = null,
  declared_at = excluded.declared_at
where c.source = excluded.source
returning c.id`;

const REFUSED = `-- refused: $1 sources, $2 reasons, $3 counts
insert into nevertwice.refusal (source, reason, counted_at, refused)
select r.source, r.reason, nevertwice.clock(), r.refused
from unnest($1::text[], $2::text[], $3::int[]) as r (source, reason, refused)`;

/** The store on PostgreSQL 14 to 18, through any pool of the shape of `pg.Pool`. */
export class PostgresStore implements Store {
  readonly singleConnection: boolean;
  readonly schedules: ScheduleStore;
  readonly children: ChildrenStore;
  readonly #connections: Connections;
  readonly #schema: string;
  readonly #channel: string;
  readonly #logger: Logger;
  readonly #onClose: () => Promise<void>;
  readonly #tidy: Tidy;
  readonly #run: Run;
  readonly #accepting: SharedConnection;
  readonly #claims: Preparing;
  readonly #settlements: Preparing;
  readonly #dues: Preparing;

  constructor(
    pool: PoolLike,
    options: {
      schema: string;
      logger: Logger;
      /** Accepts and handlers' statements are prepared by name. Not behind a transaction pooler. @default false */
      preparedStatements?: boolean;
      singleConnection?: boolean;
      onClose?: () => Promise<void>;
    },
  ) {
    this.#connections = new Connections(pool, options.schema, options.logger, options.preparedStatements ?? false);
    this.schedules = new PostgresSchedules(this.#connections);
    this.children = new PostgresChildren(this.#connections);
    this.#schema = options.schema;
    this.#channel = channel(options.schema);
    this.#logger = options.logger;
    this.singleConnection = options.singleConnection ?? false;
    this.#onClose = options.onClose ?? (async () => {});
    this.#tidy = new Tidy(this.#connections, options.schema);
    this.#run = (text, values) => this.#connections.run(text, values);
    this.#accepting = new SharedConnection(this.#connections);
    this.#claims = new Preparing(this.#connections);
    this.#settlements = new Preparing(this.#connections);
    this.#dues = new Preparing(this.#connections);
  }

  async inspect(): Promise<Durability> {
    const { rows } = await this.#connections.run<{
      server_version: string;
      fsync: string;
      synchronous_commit: string;
      isolation: string;
      in_recovery: boolean;
    }>(INSPECT);
    const row = rows[0];
    if (row === undefined) throw fault("NT_DATABASE_AWAY", { got: "no answer" });
    this.#connections.explicit = row.isolation !== "read committed";
    if (row.in_recovery) throw fault("NT_DATABASE_STANDBY", { got: "a standby" });
    return {
      serverVersion: row.server_version,
      fsync: row.fsync,
      synchronousCommit: row.synchronous_commit,
      inRecovery: row.in_recovery,
    };
  }

  async migrate(mode: "auto" | "check"): Promise<void> {
    const schema = this.#schema;
    const found = await migrate(this.#connections, schema, mode, await migrations(schema));
    if (found === "newer") this.#logger.info({ schema }, "the schema is newer than this version, which works on it");
    if (found !== "applied") return;
    const { rows } = await this.#connections.run<{ ms: string }>(INSPECT);
    try {
      await this.#tidy.makePartitions(Number(rows[0]?.ms));
    } catch (error) {
      // 55P03: who started with us has begun to work. They are made by housekeeping; history has its place without them.
      if (sqlState(error) !== "55P03") throw error;
    }
  }

  async declare(consumers: readonly ConsumerDeclaration[]): Promise<void> {
    for (const { name, source, topic, topicLike } of consumers) {
      const { rows } = await this.#run(DECLARE, [name, source, topic, topicLike]);
      if (rows.length === 0) throw fault("NT_CONSUMER_CHANGED", { got: `\`${name}\` now at source \`${source}\`` });
    }
  }

  accept(arrivals: readonly Arrival[]): Promise<readonly Put[]> {
    // Planning it costs as much as twenty rows; it has one good plan, whatever it is given.
    return accept((text, values) => this.#accepting.run(text, values), arrivals, defaults.acceptLockTimeoutMs);
  }

  sendIn(tx: OutboxTx, arrivals: readonly Arrival[]): Promise<readonly Put[]> {
    return sendIn(tx, arrivals, (text) => this.#connections.placed(text));
  }

  claim(wants: readonly Want[], leaseMs: number): Promise<readonly Claimed[]> {
    return this.#claims.run(
      (run) => claim(run, wants, leaseMs),
      (claimed) => claimed.length,
    );
  }

  takeOver(consumers: readonly string[], leaseMs: number, worker: string): Promise<Claimed | undefined> {
    return takeOver(this.#run, consumers, leaseMs, worker);
  }

  renew(claims: readonly Claim[], leaseMs: number): Promise<readonly Claim[]> {
    return renew(this.#run, claims, leaseMs);
  }

  settle(settlements: readonly Settlement[], worker: string): Promise<ReadonlySet<string>> {
    return this.#settlements.run(
      (run) => settle(run, settlements, worker, null),
      (settled) => settled.size,
    );
  }

  recordSuperseded(settlements: readonly Settlement[], worker: string): Promise<void> {
    return recordSuperseded(this.#run, settlements, worker);
  }

  begin(limits: TransactionLimits, worker: string): Promise<Transaction> {
    return begin(this.#connections, limits, worker);
  }

  resolve(claims: readonly Claim[], leaseMs: number): Promise<Resolution> {
    return resolve(this.#run, claims, leaseMs);
  }

  beginStep(one: Claim, name: string, idempotencyKey: string): Promise<StepBegun> {
    return beginStep(this.#run, one, name, idempotencyKey);
  }

  finishStep(one: Claim, name: string, outcome: { result: string } | { error: string }): Promise<boolean> {
    return finishStep(this.#run, one, name, outcome);
  }

  note(one: Claim, progress: number, line: string | undefined): Promise<boolean> {
    return note(this.#run, one, progress, line);
  }

  outcomes(messageIds: readonly string[]): Promise<ReadonlyMap<string, Outcome>> {
    return outcomes(this.#run, messageIds);
  }

  cancel(messageId: string, reason: string, children = false): Promise<Cancelled> {
    return cancelMessage(this.#run, messageId, reason, children);
  }

  pause(consumer: string, paused: boolean): Promise<boolean> {
    return pauseConsumer(this.#run, consumer, paused);
  }

  nextDueMs(consumers: readonly string[]): Promise<number | undefined> {
    return this.#dues.run(
      (run) => nextDueMs(run, consumers),
      () => 1,
    );
  }

  async hint(from: string): Promise<void> {
    try {
      await this.#connections.run(HINT, [this.#channel, from], undefined, true);
    } catch {
      // Polling is the truth.
    }
  }

  listen(onHint: (from: string | undefined) => void): Promise<() => Promise<void>> {
    return listen(this.#connections, this.#channel, this.#logger, onHint);
  }

  countCopies(counts: readonly { messageId: string; copies: number }[]): Promise<void> {
    return countCopies(this.#run, counts);
  }

  async countRefusals(counts: readonly { source: string; reason: string; refused: number }[]): Promise<void> {
    await this.#run(REFUSED, [
      counts.map((count) => count.source),
      counts.map((count) => count.reason),
      counts.map((count) => count.refused),
    ]);
  }

  tidy(options: { dedupeDays: number; retainDays: number }): Promise<void> {
    return this.#tidy.run(options);
  }

  query<Row = Record<string, unknown>>(text: string, values: readonly unknown[] = []): Promise<QueryResult<Row>> {
    return this.#connections.run<Row>(text, values, defaults.readDeadlineMs);
  }

  async close(): Promise<void> {
    await this.#onClose();
  }
}
