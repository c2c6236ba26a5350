/** The shape of `pg.Pool` that we use. */
export interface PoolLike {
  connect(): Promise<ClientLike>;
  end(): Promise<void>;
  on(event: "error", listener: (error: Error) => void): unknown;
  on(event: "connect", listener: (client: ClientLike) => void): unknown;
}

export interface DriverQuery {
  /** Prepared under this name, once a connection. */
  readonly name?: string;
  readonly text: string;
  readonly values?: unknown[];
  /** "extended" even without values: the simple protocol would run "select 1; rollback". */
  readonly queryMode?: "extended";
}

export interface Answer {
  readonly rows: unknown[];
  readonly rowCount: number | null;
  readonly command: string;
}

/** The shape of a checked-out `pg` client that we use. */
export interface ClientLike {
  query(query: string | DriverQuery): Promise<Answer>;
  release(destroy?: boolean): void;
  on(event: "error" | "notification" | "end", listener: () => void): unknown;
  removeListener(event: "error" | "notification" | "end", listener: () => void): unknown;
  /** Where it is there, statements that are pipelined can go out in one write. */
  readonly connection?: { readonly stream?: { cork?(): void; uncork?(): void } };
}

/** What `send` hands to the driver before it first waits leaves in one write, where the driver lets us. */
export function inOneWrite<Result>(client: ClientLike, send: () => Promise<Result>): Promise<Result> {
  const stream = client.connection?.stream;
  stream?.cork?.();
  try {
    return send();
  } finally {
    stream?.uncork?.();
  }
}
