import type { ResultShape, StatementResult } from "./store.ts";

/**
 * The way in for libraries. A handler's `tx` answers to this symbol with what stands behind it, so that a library can be
 * given something of the shape of its own driver. Registered by name: two copies of the package still understand each other.
 */
export const HANDLE = Symbol.for("nevertwice.handle");

export interface HandleStatement extends ResultShape {
  readonly text: string;
  readonly values?: readonly unknown[];
}

/**
 * One of the connections that a library believes to have. All of them are the handler's one transaction; which one a
 * statement comes through tells whose nested transaction it belongs to.
 */
export interface HandleConnection {
  /** Throws NT_TX_CONTROL, NT_TX_NESTED, NT_TX_ENDED, and what the database throws. */
  query(statement: HandleStatement): Promise<StatementResult>;
  /** Undoes a nested transaction that was left open. */
  release(): void;
}

export interface Handle {
  /** For statements outside of any nested transaction; begins none. */
  readonly root: HandleConnection;
  connect(): HandleConnection;
  /** Called when the handler has ended. */
  onEnd(callback: () => void): void;
}

/** The `tx` of a handler, as a library's subpath takes it. */
export interface HandlerTransaction {
  query(text: string, values?: readonly unknown[]): PromiseLike<unknown>;
}
