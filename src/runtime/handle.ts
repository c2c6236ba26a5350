/**
 * A library's handle: what a handler's `tx` is to Drizzle, Kysely, Knex, TypeORM and Prisma.
 *
 * They believe to have a pool. Each of its connections is the handler's one transaction, and what they say about
 * transactions is read, never passed on: `begin` on a connection becomes a savepoint of ours, its `commit` the release of
 * that savepoint, its `rollback` the way back to it. So a nested transaction works as everywhere, a failed one leaves the
 * handler's usable, and no library can end what is not its own: a `commit` that nobody began is refused, and fails the attempt
 * even if the refusal is swallowed.
 *
 * It is only right with all of this:
 * - While a nested transaction is open, the other connections wait. On one wire a rollback to its savepoint would take
 *   their statements with it, and nobody would be told. Who waits too long most likely waits for themselves (a statement
 *   through the outer handle, awaited inside): an error, as for any lock.
 * - Savepoints leave the groups: from the 65th a backend's snapshots overflow.
 * - What is still open when the handler returns fails the attempt, like a query that is still under way.
 * - Once the handler has returned nothing more is taken in, and what comes in the next hundred microtasks fails the attempt:
 *   libraries take some between a call and its statement (8 at most, of those tried), so a forgotten await shows late.
 *
 * What it does not promise: `send` and `tx.query` belong to whatever is open when they are called; and two
 * transactions begun at the same time *inside* a nested one are as mixed up as in any transaction of that library.
 */
import { defaults } from "../core/defaults.ts";
import { fault } from "../core/errors.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Handle, HandleConnection, HandleStatement } from "../core/ports/handle.ts";
import type { StatementResult } from "../core/ports/store.ts";
import { type Control, readControl } from "./statement.ts";

export interface HandleHost {
  readonly clock: Clock;
  run(statement: HandleStatement): Promise<StatementResult>;
  nest(act: "savepoint" | "release" | "rollback to", name: string): Promise<void>;
  /** The transaction takes no further statement because of this error. */
  readonly error: unknown;
}

interface Savepoint {
  readonly name: string;
  /** What it is called in the database. */
  readonly own: string;
}

export class LibraryHandle implements Handle {
  readonly root: HandleConnection = new Connection(this, false);
  readonly #host: HandleHost;
  #open: Connection | undefined;
  #waiting: (() => void)[] = [];
  #names = 0;
  #returned = false;
  #late = false;
  #refused: Error | undefined;
  #onEnd: (() => void)[] = [];

  constructor(host: HandleHost) {
    this.#host = host;
  }

  connect(): HandleConnection {
    return new Connection(this, true);
  }

  onEnd(callback: () => void): void {
    this.#onEnd.push(callback);
  }

  /** The handler has returned. */
  returned(): void {
    this.#returned = true;
  }

  end(): void {
    this.#returned = true;
    this.#wake();
    for (const callback of this.#onEnd.splice(0)) callback();
  }

  /** What no nested transaction can make undone, however a library wraps it or a handler swallows it. */
  get refusal(): Error | undefined {
    return this.#refused;
  }

  /** Throws what a handler may have swallowed, or left open. */
  check(): void {
    if (this.#refused !== undefined) throw this.#refused;
    if (this.#late) throw fault("NT_TX_PENDING", { got: "a query that nobody waited for" });
    if (this.#open !== undefined) throw fault("NT_TX_PENDING", { got: "a nested transaction that is still open" });
  }

  async run(connection: Connection, statement: HandleStatement): Promise<StatementResult> {
    this.#checkReturned();
    const control = readControl(statement.text);
    if (control?.kind === "refused" || (control !== undefined && !connection.owns(control))) {
      throw this.#refuse(fault("NT_TX_CONTROL", { got: `\`${statement.text.trim().slice(0, 60)}\`` }));
    }
    while (this.#open !== undefined && this.#open !== connection) {
      await this.#wait();
      this.#checkReturned();
    }
    if (control === undefined) return this.#host.run(statement);
    await this.#control(connection, control);
    return { rows: [], rowCount: null, command: control.kind.split("-")[0]?.toUpperCase() ?? "", fields: [] };
  }

  /** A connection is given back. After a failure some libraries leave it to the connection to undo; else nobody would. */
  async undo(connection: Connection): Promise<void> {
    if (this.#open !== connection) return;
    if (this.#host.error === undefined) {
      this.#refuse(fault("NT_TX_CONTROL", { got: "`begin` on a connection that was given back before the end" }));
    }
    try {
      await this.#rollback(connection);
    } catch (error) {
      this.#refuse(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async #control(connection: Connection, control: Exclude<Control, { kind: "refused" }>): Promise<void> {
    const { stack } = connection;
    if (control.kind === "begin") {
      this.#open = connection;
      try {
        await this.#push(stack, "");
      } catch (error) {
        this.#close(connection);
        throw error;
      }
    } else if (control.kind === "commit") {
      const { error } = this.#host;
      if (error !== undefined) throw fault("NT_TX_ABORTED", { got: String(error), cause: error });
      await this.#host.nest("release", stack[0]?.own ?? "");
      this.#close(connection);
    } else if (control.kind === "rollback") {
      await this.#rollback(connection);
    } else if (control.kind === "savepoint") {
      await this.#push(stack, control.name);
    } else if ("name" in control) {
      const at = stack.findLastIndex((one) => one.name === control.name);
      const own = stack[at]?.own ?? "";
      await this.#host.nest(control.kind === "release" ? "release" : "rollback to", own);
      stack.splice(control.kind === "release" ? at : at + 1);
    }
  }

  async #push(stack: Savepoint[], name: string): Promise<void> {
    const own = `nt_nested_${++this.#names}`;
    await this.#host.nest("savepoint", own);
    stack.push({ name, own });
  }

  async #rollback(connection: Connection): Promise<void> {
    const own = connection.stack[0]?.own ?? "";
    await this.#host.nest("rollback to", own);
    await this.#host.nest("release", own);
    this.#close(connection);
  }

  #close(connection: Connection): void {
    connection.stack.length = 0;
    this.#open = undefined;
    this.#wake();
  }

  #wake(): void {
    for (const go of this.#waiting.splice(0)) go();
  }

  /** For as long as for a lock. */
  #wait(): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = this.#host.clock.after(defaults.lockTimeoutMs, () => {
        this.#waiting.splice(this.#waiting.indexOf(go), 1);
        reject(this.#refuse(fault("NT_TX_NESTED", { got: `one that waited for ${defaults.lockTimeoutMs} ms` })));
      });
      const go = (): void => {
        cancel();
        resolve();
      };
      this.#waiting.push(go);
    });
  }

  #checkReturned(): void {
    if (!this.#returned) return;
    this.#late = true;
    throw fault("NT_TX_ENDED", { got: "a query after the handler had ended" });
  }

  #refuse(error: Error): Error {
    this.#refused ??= error;
    return error;
  }
}

class Connection implements HandleConnection {
  readonly stack: Savepoint[] = [];
  readonly #handle: LibraryHandle;
  readonly #nests: boolean;

  constructor(handle: LibraryHandle, nests: boolean) {
    this.#handle = handle;
    this.#nests = nests;
  }

  /** Whether this control is about what was begun here. */
  owns(control: Control): boolean {
    if (control.kind === "begin") return this.#nests && this.stack.length === 0;
    if (this.stack.length === 0) return false;
    return !("name" in control) || control.kind === "savepoint" || this.stack.some((one) => one.name === control.name);
  }

  query(statement: HandleStatement): Promise<StatementResult> {
    return this.#handle.run(this, statement);
  }

  release(): void {
    void this.#handle.undo(this);
  }
}
