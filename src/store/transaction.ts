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
 *
 * What begins a transaction or undoes a part of it has a deadline too: on a line that went dead no answer comes, and a
 * group would wait for it with all of its members.
 */
import { randomBytes } from "node:crypto";
import { defaults } from "../core/defaults.ts";
import type {
  Arrival,
  Put,
  ResultShape,
  Settlement,
  StatementResult,
  Transaction,
  TransactionLimits,
} from "../core/ports/store.ts";
import { accept } from "./accept.ts";
import { type Connections, isBroken, within } from "./connections.ts";
import { type Answer, ask, type ClientLike, type DriverQuery, inOneWrite } from "./driver.ts";
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
    const begun = Promise.all([
      ask(client, "begin isolation level read committed"),
      ask(client, {
        ...connections.named(LIMITS),
        text: LIMITS,
        values: [lane, String(limits.idleMs), String(limits.lockMs), String(limits.statementMs)],
      }),
    ]);
    await within(defaults.statementDeadlineMs, begun);
  } catch (error) {
    connections.release(client, true);
    throw error;
  }
  return new PostgresTransaction(connections, client, lane, limits.lockMs, worker);
}

const NEST = { savepoint: "savepoint", release: "release savepoint", "rollback to": "rollback to savepoint" } as const;

class PostgresTransaction implements Transaction {
  readonly #connections: Connections;
  readonly #client: ClientLike;
  readonly #lane: string;
  readonly #lockMs: number;
  readonly #worker: string;
  #over = false;
  #savepoint: string | undefined;
  #role = false;
  /** Statements under way. */
  #pending = 0;
  /** An error after which the connection must not serve anybody else. */
  #broken = false;
  rollbackCause: unknown;

  constructor(connections: Connections, client: ClientLike, lane: string, lockMs: number, worker: string) {
    this.#connections = connections;
    this.#client = client;
    this.#lane = lane;
    this.#lockMs = lockMs;
    this.#worker = worker;
  }

  async query(text: string, values: readonly unknown[] = [], shape?: ResultShape): Promise<StatementResult> {
    // A tenant's role may not settle deliveries: it is put down before the settlement.
    this.#role ||= /\brole\b|\bauthorization\b/i.test(text);
    const named = this.#connections.named(text);
    const { rows, rowCount, command, fields } = await this.#send({
      ...named,
      text,
      values: [...values],
      queryMode: "extended",
      ...shape,
    });
    return { rows, rowCount, command, fields: fields ?? [] };
  }

  async nest(act: "savepoint" | "release" | "rollback to", name: string): Promise<void> {
    await this.#send({ text: `${NEST[act]} "${name}"`, queryMode: "extended" });
  }

  savepoint(name: string): void {
    this.#savepoint = name;
  }

  async rollbackTo(name: string): Promise<void> {
    const unsent = this.#savepoint === name;
    this.#savepoint = undefined;
    if (unsent) return;
    try {
      await within(defaults.statementDeadlineMs, ask(this.#client, `rollback to savepoint "${name}"`));
    } catch (error) {
      this.#broken ||= isBroken(error);
      throw error;
    }
  }

  send(arrivals: readonly Arrival[]): Promise<readonly Put[]> {
    return accept((text, values) => this.#own(text, values), arrivals, this.#lockMs);
  }

  settle(settlements: readonly Settlement[]): Promise<ReadonlySet<string>> {
    return settle((text, values) => this.#own(text, values), settlements, this.#worker, this.#lane);
  }

  settleAndCommit(settlements: readonly Settlement[]): Promise<"committed" | "rolled-back" | "unknown"> {
    if (settlements.some((one) => one.outcome !== "completed")) throw new Error("only completions commit with effects");
    return this.#commit(() =>
      inOneWrite(this.#client, async () => {
        const roleless = this.#role ? ask(this.#client, "set local role none") : undefined;
        const settled = settle((text, values) => this.#own(text, values), settlements, this.#worker, this.#lane, true);
        const [settling, commit] = await Promise.allSettled([settled, ask(this.#client, "commit"), roleless]);
        if (settling.status === "rejected") this.rollbackCause = settling.reason;
        // The settlement's error aborted the transaction: COMMIT answers with the tag ROLLBACK.
        if (commit.status === "rejected") throw commit.reason;
        if (settling.status === "rejected" && commit.value.command === "COMMIT") throw settling.reason;
        return commit.value;
      }),
    );
  }

  commit(): Promise<"committed" | "rolled-back" | "unknown"> {
    return this.#commit(() => ask(this.#client, "commit"));
  }

  async #commit(send: () => Promise<Answer>): Promise<"committed" | "rolled-back" | "unknown"> {
    let timer: NodeJS.Timeout | undefined;
    try {
      const deadline = new Promise<undefined>((resolve) => {
        timer = setTimeout(() => resolve(undefined), defaults.commitTimeoutMs);
      });
      const answer = await Promise.race([send(), deadline]);
      this.#end(answer === undefined);
      if (answer === undefined) return "unknown";
      return answer.command === "COMMIT" ? "committed" : "rolled-back";
    } catch (error) {
      this.#end(true);
      // PostgreSQL answered, and not because it was going away: a deferred constraint failed, say.
      this.rollbackCause ??= error;
      return isBroken(error) ? "unknown" : "rolled-back";
    } finally {
      clearTimeout(timer);
    }
  }

  async rollback(hurry = false): Promise<void> {
    if (this.#over) return;
    if (this.#broken || (hurry && this.#pending > 0)) return this.#end(true);
    let timer: NodeJS.Timeout | undefined;
    try {
      const deadline = new Promise<undefined>((resolve) => {
        timer = setTimeout(() => resolve(undefined), defaults.commitTimeoutMs);
      });
      this.#end((await Promise.race([ask(this.#client, "rollback"), deadline])) === undefined);
    } catch {
      this.#end(true);
    } finally {
      clearTimeout(timer);
    }
  }

  async #own<Row>(text: string, values: readonly unknown[]): Promise<{ rows: Row[] }> {
    const result = await this.#send({
      text: this.#connections.placed(text),
      values: [...values],
      queryMode: "extended",
    });
    return { rows: result.rows as Row[] };
  }

  /** A statement, and the savepoint before it: in one write, because a write costs more than the savepoint does. */
  async #send(query: DriverQuery): Promise<Answer> {
    const name = this.#savepoint;
    this.#savepoint = undefined;
    this.#pending++;
    try {
      if (name === undefined) return await ask(this.#client, query);
      const [, result] = await inOneWrite(this.#client, () =>
        Promise.all([ask(this.#client, `savepoint "${name}"`), ask(this.#client, query)]),
      );
      return result;
    } catch (error) {
      this.#broken ||= isBroken(error);
      throw error;
    } finally {
      this.#pending--;
    }
  }

  #end(destroy: boolean): void {
    if (this.#over) return;
    this.#over = true;
    this.#connections.release(this.#client, destroy || this.#broken);
  }
}
