import { fault } from "../core/errors.js";
import { accept } from "./accept.js";
import { claim, nextDueMs, renew, takeOver } from "./claim.js";
import { Connections } from "./connections.js";
import { channel, listen } from "./listen.js";
import { migrate } from "./migrate.js";
import { recordSuperseded, resolve, settle } from "./settle.js";
import { beginStep, finishStep } from "./step.js";
import { Tidy } from "./tidy.js";
import { begin } from "./transaction.js";
const INSPECT = `-- inspect
select
  current_setting('server_version') as server_version,
  current_setting('fsync') as fsync,
  current_setting('synchronous_commit') as synchronous_commit,
  pg_is_in_recovery() as in_recovery,
  extract(epoch from clock_timestamp()) * 1000 as ms`;
// declare: registers a consumer, or marks it as declared. $1 name, $2 source, $3 topic, $4 topic as a LIKE pattern.
const DECLARE = `-- declare
insert into nevertwice.consumer as c (name, source, topic, topic_like, registered_at, declared_at)
values ($1, $2, $3, $4, nevertwice.clock(), nevertwice.clock())
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
const HINT = `-- hint: $1 channel
select pg_notify($1, '')`;
/** The store on PostgreSQL 14 to 18, through any pool of the shape of `pg.Pool`. */
export class PostgresStore {
    singleConnection;
    #connections;
    #schema;
    #onClose;
    #tidy;
    #run;
    constructor(pool, options) {
        this.#connections = new Connections(pool, options.schema, options.logger, options.preparedStatements ?? false);
        this.#schema = options.schema;
        this.singleConnection = options.singleConnection ?? false;
        this.#onClose = options.onClose ?? (async () => { });
        this.#tidy = new Tidy(this.#connections, options.schema);
        this.#run = (text, values) => this.#connections.run(text, values);
    }
    async inspect() {
        const { rows } = await this.#connections.run(INSPECT);
        const row = rows[0];
        if (row === undefined)
            throw fault("NT_DATABASE_AWAY", { got: "no answer" });
        if (row.in_recovery)
            throw fault("NT_DATABASE_STANDBY", { got: "a standby" });
        return {
            serverVersion: row.server_version,
            fsync: row.fsync,
            synchronousCommit: row.synchronous_commit,
            inRecovery: row.in_recovery,
        };
    }
    async migrate(mode) {
        if (!(await migrate(this.#connections, this.#schema, mode)))
            return;
        const { rows } = await this.#connections.run(INSPECT);
        await this.#tidy.makePartitions(Number(rows[0]?.ms));
    }
    async declare(consumers) {
        for (const { name, source, topic, topicLike } of consumers) {
            const { rows } = await this.#run(DECLARE, [name, source, topic, topicLike]);
            if (rows.length === 0)
                throw fault("NT_CONSUMER_CHANGED", { got: `\`${name}\` now at source \`${source}\`` });
        }
    }
    accept(arrivals) {
        return accept(this.#run, arrivals);
    }
    claim(wants, leaseMs) {
        return claim(this.#run, wants, leaseMs);
    }
    takeOver(consumers, leaseMs, worker) {
        return takeOver(this.#run, consumers, leaseMs, worker);
    }
    renew(claims, leaseMs) {
        return renew(this.#run, claims, leaseMs);
    }
    settle(settlements, worker) {
        return settle(this.#run, settlements, worker, null);
    }
    recordSuperseded(settlements, worker) {
        return recordSuperseded(this.#run, settlements, worker);
    }
    begin(limits, worker) {
        return begin(this.#connections, limits, worker);
    }
    resolve(claims, leaseMs) {
        return resolve(this.#run, claims, leaseMs);
    }
    beginStep(one, name, idempotencyKey) {
        return beginStep(this.#run, one, name, idempotencyKey);
    }
    finishStep(one, name, outcome) {
        return finishStep(this.#run, one, name, outcome);
    }
    nextDueMs(consumers) {
        return nextDueMs(this.#run, consumers);
    }
    async hint() {
        try {
            await this.#run(HINT, [channel(this.#schema)]);
        }
        catch {
            // Polling is the truth.
        }
    }
    listen(onHint) {
        return listen(this.#connections, this.#schema, onHint);
    }
    async countRefusals(counts) {
        await this.#run(REFUSED, [
            counts.map((count) => count.source),
            counts.map((count) => count.reason),
            counts.map((count) => count.refused),
        ]);
    }
    tidy(options) {
        return this.#tidy.run(options);
    }
    query(text, values = []) {
        return this.#connections.run(text, values);
    }
    async close() {
        await this.#onClose();
    }
}
//# sourceMappingURL=postgres.js.map