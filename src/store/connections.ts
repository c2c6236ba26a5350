import { defaults } from "../core/defaults.ts";
import { fault } from "../core/errors.ts";
import type { Logger } from "../core/ports/logger.ts";
import type { QueryResult } from "../core/ports/store.ts";
import { type Answer, ask, type ClientLike, type DriverQuery, inOneWrite, type PoolLike } from "./driver.ts";

/**
 * Connections of one pool. A client whose statement failed for want of a connection, or whose cached plan was broken by
 * DDL (0A000), is destroyed, never handed on. Every client in use has an `error` listener: a server that is killed
 * must not end the process.
 */
export class Connections {
  readonly pool: PoolLike;
  /** Whether single statements need a transaction that names its isolation level. */
  explicit = false;
  readonly #place: (text: string) => string;
  readonly #placed = new Map<string, string>();
  readonly #names: Map<string, string> | undefined;

  constructor(pool: PoolLike, schema: string, logger: Logger, prepared: boolean) {
    this.pool = pool;
    this.#names = prepared ? new Map() : undefined;
    pool.on("error", (error) => logger.warn({ error }, "idle connection lost"));
    // From its first moment: a server that dies while it lets us in says so in the same breath, before we are called back.
    pool.on("connect", (client) => client.on("error", ignore));
    const quoted = `"${schema.replaceAll('"', '""')}"`;
    this.#place = (text) => text.replace(/(?<!['\w])nevertwice\./g, () => `${quoted}.`);
  }

  /** The statement with the schema's quoted name in it: the only thing ever put into a statement. */
  placed(text: string): string {
    let placed = this.#placed.get(text);
    if (placed === undefined) {
      placed = this.#place(text);
      this.#placed.set(text, placed);
    }
    return placed;
  }

  /**
   * The name of a prepared statement, where the connections are our own from end to end: a transaction pooler would lose
   * it. Statements that are made anew each time would fill the server's memory, so only the first ones get names.
   */
  named(text: string): { name: string } | undefined {
    if (this.#names === undefined) return undefined;
    let name = this.#names.get(text);
    if (name === undefined) {
      if (this.#names.size >= MOST_PREPARED) return undefined;
      this.#names.set(text, (name = `nevertwice_${this.#names.size}`));
    }
    return { name };
  }

  async connect(): Promise<ClientLike> {
    try {
      const client = await this.pool.connect();
      client.on("error", ignore);
      return client;
    } catch (cause) {
      throw fault("NT_DATABASE_AWAY", { got: cause instanceof Error ? cause.message : String(cause), cause });
    }
  }

  release(client: ClientLike, destroy = false): void {
    client.removeListener("error", ignore);
    // A destroyed client may still report the loss of its connection.
    if (destroy) client.on("error", ignore);
    client.release(destroy);
  }

  /**
   * One statement in a transaction of its own, READ COMMITTED: where the database's default is another level, the
   * transaction has to say so, because there is no session to set it in behind a transaction pooler.
   */
  async run<Row>(
    text: string,
    values: readonly unknown[] = [],
    deadlineMs: number = defaults.statementDeadlineMs,
    prepared = false,
  ): Promise<QueryResult<Row>> {
    const client = await this.connect();
    let broken = true;
    try {
      const result = await this.on(
        client,
        { ...(prepared ? this.named(text) : {}), text: this.placed(text), values: [...values] },
        deadlineMs,
      );
      broken = false;
      return { rows: result.rows as Row[], rowCount: result.rowCount };
    } catch (error) {
      broken = this.breaks(error);
      throw error;
    } finally {
      this.release(client, broken);
    }
  }

  /** The statement on this client, in a transaction of its own. */
  on(client: ClientLike, query: DriverQuery, deadlineMs: number): Promise<Answer> {
    const extended = { ...query, queryMode: "extended" as const };
    return within(deadlineMs, this.explicit ? explicitly(client, extended) : ask(client, extended));
  }

  /** Whether a connection that gave this error to `on` can be used again. */
  breaks(error: unknown): boolean {
    return this.explicit || isBroken(error);
  }
}

/**
 * One connection for statements that follow each other closely: they are sent while others are still under way on it,
 * and run one after another, so that the server never waits for the next one, and nobody checks connections in and out.
 * It goes back to the pool when nothing is under way, and now and then even when there is: a pool of one has others waiting.
 */
export class SharedConnection {
  readonly #connections: Connections;
  #held: Held | undefined;

  constructor(connections: Connections) {
    this.#connections = connections;
  }

  /** As `Connections.run`, by a prepared statement where that is allowed. */
  async run<Row>(text: string, values: readonly unknown[]): Promise<QueryResult<Row>> {
    const connections = this.#connections;
    const held = (this.#held ??= { client: connections.connect(), users: 0, uses: 0, broken: false });
    held.users++;
    held.uses++;
    if (held.uses >= MOST_USES) this.#held = undefined;
    try {
      const query = { ...connections.named(text), text: connections.placed(text), values: [...values] };
      const result = await connections.on(await held.client, query, defaults.statementDeadlineMs);
      return { rows: result.rows as Row[], rowCount: result.rowCount };
    } catch (error) {
      held.broken ||= connections.breaks(error);
      throw error;
    } finally {
      held.users--;
      // Whoever comes now gets another one; those who are on it still end on it.
      if (this.#held === held && (held.broken || held.users === 0)) this.#held = undefined;
      if (held.users === 0) {
        held.client.then(
          (client) => connections.release(client, held.broken),
          () => {},
        );
      }
    }
  }
}

interface Held {
  readonly client: Promise<ClientLike>;
  /** Statements under way. */
  users: number;
  /** Statements so far. */
  uses: number;
  broken: boolean;
}

const MOST_USES = 100;

async function explicitly(client: ClientLike, query: DriverQuery): Promise<Answer> {
  const [, result, ended] = await inOneWrite(client, () =>
    Promise.all([ask(client, "begin isolation level read committed"), ask(client, query), ask(client, "commit")]),
  );
  if (ended.command !== "COMMIT") throw fault("NT_TX_ABORTED", { got: `the tag ${ended.command}` });
  return result;
}

/** A peer that vanished without a word answers never: who waited so long destroys the connection. */
export async function within<Result>(deadlineMs: number, answered: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(fault("NT_DATABASE_AWAY", { got: `no answer for ${deadlineMs} ms` })), deadlineMs);
  });
  answered.catch(() => {});
  try {
    return await Promise.race([answered, late]);
  } finally {
    clearTimeout(timer);
  }
}

const MOST_PREPARED = 200;

function ignore(): void {}

/** Whether the connection that gave this error can be used again. */
export function isBroken(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code !== "string" || !/^(?=.*\d)[0-9A-Z]{5}$/.test(code)) return true;
  return code === "0A000" || /^(?:08|57P|25P0[34]|XX)/.test(code);
}
