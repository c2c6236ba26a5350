/**
 * A handler's transaction.
 *
 * READ COMMITTED by name: under REPEATABLE READ a heartbeat made every settlement fail. Limits and the lane token are
 * set for this transaction only. The token is what tells our transaction from any other: a handler that ended it
 * inside its SQL leaves a connection without the token, and nothing settles there.
 *
 * COMMIT has a deadline of the client's, because statement_timeout does not bound it. Its command tag is read: an
 * aborted transaction answers ROLLBACK and no error. A connection whose COMMIT was not answered is destroyed, never
 * given back: what became of it is found out by a fenced update (settle.ts, resolve).
 */
import { randomBytes } from "node:crypto";
import { defaults } from "../core/defaults.js";
import { accept } from "./accept.js";
import { isBroken } from "./connections.js";
import { inOneWrite } from "./driver.js";
import { settle } from "./settle.js";
const LIMITS = `-- limits
select
  set_config('nevertwice.lane', $1, true),
  set_config('idle_in_transaction_session_timeout', $2, true),
  set_config('lock_timeout', $3, true),
  set_config('statement_timeout', $4, true),
  case
    when current_setting('synchronous_commit') in ('off', 'local', 'remote_write')
    then set_config('synchronous_commit', 'on', true)
  end`;
export async function begin(connections, limits, worker) {
    const client = await connections.connect();
    const lane = randomBytes(12).toString("hex");
    try {
        // Sent together: one round trip where the driver pipelines.
        await Promise.all([
            client.query("begin isolation level read committed"),
            client.query({
                ...connections.named(LIMITS),
                text: LIMITS,
                values: [lane, String(limits.idleMs), String(limits.lockMs), String(limits.statementMs)],
            }),
        ]);
    }
    catch (error) {
        connections.release(client, true);
        throw error;
    }
    return new PostgresTransaction(connections, client, lane, worker);
}
class PostgresTransaction {
    #connections;
    #client;
    #lane;
    #worker;
    #over = false;
    #savepoint;
    constructor(connections, client, lane, worker) {
        this.#connections = connections;
        this.#client = client;
        this.#lane = lane;
        this.#worker = worker;
    }
    async query(text, values = []) {
        const named = this.#connections.named(text);
        const result = await this.#send({ ...named, text, values: [...values], queryMode: "extended" });
        return { rows: result.rows, rowCount: result.rowCount };
    }
    savepoint(name) {
        this.#savepoint = name;
    }
    async rollbackTo(name) {
        const unsent = this.#savepoint === name;
        this.#savepoint = undefined;
        if (!unsent)
            await this.#client.query(`rollback to savepoint "${name}"`);
    }
    send(arrivals) {
        return accept((text, values) => this.#own(text, values), arrivals);
    }
    settle(settlements) {
        return settle((text, values) => this.#own(text, values), settlements, this.#worker, this.#lane);
    }
    settleAndCommit(settlements) {
        if (settlements.some((one) => one.outcome !== "completed"))
            throw new Error("only completions commit with effects");
        return this.#commit(() => inOneWrite(this.#client, async () => {
            const settled = settle((text, values) => this.#own(text, values), settlements, this.#worker, this.#lane, true);
            const [settling, commit] = await Promise.allSettled([settled, this.#client.query("commit")]);
            // The settlement's error aborted the transaction: COMMIT answers with the tag ROLLBACK.
            if (commit.status === "rejected")
                throw commit.reason;
            if (settling.status === "rejected" && commit.value.command === "COMMIT")
                throw settling.reason;
            return commit.value;
        }));
    }
    commit() {
        return this.#commit(() => this.#client.query("commit"));
    }
    async #commit(send) {
        let timer;
        try {
            const deadline = new Promise((resolve) => {
                timer = setTimeout(() => resolve(undefined), defaults.commitTimeoutMs);
            });
            const answer = await Promise.race([send(), deadline]);
            this.#end(answer === undefined);
            if (answer === undefined)
                return "unknown";
            return answer.command === "COMMIT" ? "committed" : "rolled-back";
        }
        catch (error) {
            this.#end(true);
            // PostgreSQL answered, and not because it was going away: a deferred constraint failed, say.
            return isBroken(error) ? "unknown" : "rolled-back";
        }
        finally {
            clearTimeout(timer);
        }
    }
    async rollback() {
        if (this.#over)
            return;
        let timer;
        try {
            const deadline = new Promise((resolve) => {
                timer = setTimeout(() => resolve(undefined), defaults.commitTimeoutMs);
            });
            this.#end((await Promise.race([this.#client.query("rollback"), deadline])) === undefined);
        }
        catch {
            this.#end(true);
        }
        finally {
            clearTimeout(timer);
        }
    }
    async #own(text, values) {
        const result = await this.#send({ text: this.#connections.placed(text), values: [...values], queryMode: "extended" });
        return { rows: result.rows };
    }
    /** A statement, and the savepoint before it: in one write, because a write costs more than the savepoint does. */
    async #send(query) {
        const name = this.#savepoint;
        if (name === undefined)
            return this.#client.query(query);
        this.#savepoint = undefined;
        const [, result] = await inOneWrite(this.#client, () => Promise.all([this.#client.query(`savepoint "${name}"`), this.#client.query(query)]));
        return result;
    }
    #end(destroy) {
        if (this.#over)
            return;
        this.#over = true;
        this.#connections.release(this.#client, destroy);
    }
}
//# sourceMappingURL=transaction.js.map