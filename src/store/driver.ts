/** The shape of `pg.Pool` that we use. */
export interface PoolLike {
  connect(): Promise<ClientLike>;
  end(): Promise<void>;
  on(event: "error", listener: (error: Error) => void): unknown;
}

export interface DriverQuery {
  readonly text: string;
  readonly values?: unknown[];
  /** "extended" even without values: the simple protocol would run "select 1; rollback". */
  readonly queryMode?: "extended";
}

/** The shape of a checked-out `pg` client that we use. */
export interface ClientLike {
  query(query: string | DriverQuery): Promise<{ rows: unknown[]; rowCount: number | null; command: string }>;
  release(destroy?: boolean): void;
  on(event: "error" | "notification" | "end", listener: () => void): unknown;
  removeListener(event: "error" | "notification" | "end", listener: () => void): unknown;
}
