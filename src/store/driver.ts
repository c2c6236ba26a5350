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
  readonly rowMode?: "array";
  readonly types?: unknown;
}

export interface Answer {
  readonly rows: unknown[];
  readonly rowCount: number | null;
  readonly command: string;
  readonly fields?: unknown[];
}

/** The shape of a checked-out `pg` client that we use. */
export interface ClientLike {
  query(query: string | DriverQuery): Promise<Answer>;
  /** Whether it sends a statement while another is under way. */
  readonly pipeline?: boolean;
  release(destroy?: boolean): void;
  on(event: "error" | "end", listener: () => void): unknown;
  on(event: "notification", listener: (notification: { readonly payload?: string | undefined }) => void): unknown;
  removeListener(event: "error" | "end", listener: () => void): unknown;
  removeListener(event: "notification", listener: (notification: { readonly payload?: string }) => void): unknown;
  /** Where it is there, statements that are pipelined can go out in one write. */
  readonly connection?: { readonly stream?: { cork?(): void; uncork?(): void } };
}

const last = new WeakMap<ClientLike, Promise<void>>();

/**
 * Sends a statement. Where the driver does not pipeline it waits here for the one that is under way: `pg` does not want
 * to keep a queue for us.
 */
export function ask(client: ClientLike, query: string | DriverQuery): Promise<Answer> {
  if (client.pipeline === true) return client.query(query);
  const before = last.get(client);
  const answer = before === undefined ? client.query(query) : before.then(() => client.query(query));
  const ended: Promise<void> = answer.then(
    () => {},
    () => {},
  );
  last.set(client, ended);
  void ended.then(() => {
    if (last.get(client) === ended) last.delete(client);
  });
  return answer;
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
