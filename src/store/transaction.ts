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
import { defaults } from "../core/defaults.ts";
import type { Acceptance, Arrival, QueryResult, Settlement, Transaction, TransactionLimits } from "../core/ports/store.ts";
import { accept } from "./accept.ts";
import { type Connections, isBroken } from "./connections.ts";
import type { ClientLike } from "./driver.ts";
import { settle } from "./settle.ts";

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

export async function begin(connections: Connections, limits: TransactionLimits, worker: string): Promise<Transaction> {
  const client = await connections.connect();
  const lane = randomBytes(12).toString("hex");
  try {
    // Sent together: one round trip where the driver pipelines.
    await Promise.all([
      client.query("begin isolation level read committed"),
      client.query({
        text: LIMITS,
        values: [lane, String(limits.idleMs), String(limits.lockMs), String(limits.statementMs)],
      }),
    ]);
  } catch (error) {
    connections.release(client, true);
    throw error;
  }
  return new PostgresTransaction(connections, client, lane, worker);
}

class PostgresTransaction implements Transaction {
  readonly #connections: Connections;
  readonly #client: ClientLike;
  readonly #lane: string;
  readonly #worker: string;
  #over = false;

  constructor(connections: Connections, client: ClientLike, lane: string, worker: string) {
    this.#connections = connections;
    this.#client = client;
    this.#lane = lane;
    this.#worker = worker;
  }

  async query(text: string, values: readonly unknown[] = []): Promise<QueryResult> {
    const result = await this.#client.query({ text, values: [...values], queryMode: "extended" });
    return { rows: result.rows as Record<string, unknown>[], rowCount: result.rowCount };
  }

  async savepoint(name: string): Promise<void> {
    await this.#client.query(`savepoint "${name}"`);
  }

  async rollbackTo(name: string): Promise<void> {
    await this.#client.query(`rollback to savepoint "${name}"`);
  }

  send(arrivals: readonly Arrival[]): Promise<readonly Acceptance[]> {
    return accept((text, values) => this.#own(text, values), arrivals);
  }

  settle(settlements: readonly Settlement[]): Promise<ReadonlySet<string>> {
    return settle((text, values) => this.#own(text, values), settlements, this.#worker, this.#lane);
  }

  async commit(): Promise<"committed" | "rolled-back" | "unknown"> {
    let timer: NodeJS.Timeout | undefined;
    try {
      const deadline = new Promise<undefined>((resolve) => {
        timer = setTimeout(() => resolve(undefined), defaults.commitTimeoutMs);
      });
      const answer = await Promise.race([this.#client.query("commit"), deadline]);
      this.#end(answer === undefined);
      if (answer === undefined) return "unknown";
      return answer.command === "COMMIT" ? "committed" : "rolled-back";
    } catch (error) {
      this.#end(true);
      // PostgreSQL answered, and not because it was going away: a deferred constraint failed, say.
      return isBroken(error) ? "unknown" : "rolled-back";
    } finally {
      clearTimeout(timer);
    }
  }

  async rollback(): Promise<void> {
    if (this.#over) return;
    let timer: NodeJS.Timeout | undefined;
    try {
      const deadline = new Promise<undefined>((resolve) => {
        timer = setTimeout(() => resolve(undefined), defaults.commitTimeoutMs);
      });
      this.#end((await Promise.race([this.#client.query("rollback"), deadline])) === undefined);
    } catch {
      this.#end(true);
    } finally {
      clearTimeout(timer);
    }
  }

  async #own<Row>(text: string, values: readonly unknown[]): Promise<{ rows: Row[] }> {
    const placed = this.#connections.placed(text);
    const result = await this.#client.query({ text: placed, values: [...values], queryMode: "extended" });
    return { rows: result.rows as Row[] };
  }

  #end(destroy: boolean): void {
    if (this.#over) return;
    this.#over = true;
    this.#connections.release(this.#client, destroy);
  }
}
