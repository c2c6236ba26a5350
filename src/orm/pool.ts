import { fault } from "../core/errors.ts";
import {
  HANDLE,
  type Handle,
  type HandleConnection,
  type HandlerTransaction,
  type HandleStatement,
} from "../core/ports/handle.ts";
import type { StatementResult } from "../core/ports/store.ts";

type Done<Result> = (error: unknown, result?: Result) => void;

/** What libraries hand to `query` of `pg`. Names of prepared statements are left out: how it is sent is not theirs to say. */
interface Config {
  readonly text: string;
  readonly values?: readonly unknown[] | undefined;
  readonly rowMode?: string | undefined;
  readonly types?: unknown;
  readonly binary?: boolean | undefined;
  /** A cursor or a stream of rows. */
  readonly submit?: unknown;
}

/**
 * The handler's transaction in the shape of a pool of `pg`, because that is what every library can be given. Its clients are
 * all the same transaction; what each says about transactions of its own is read, not sent (runtime/handle.ts).
 */
export class HandedPool {
  readonly options = {};
  readonly #handle: Handle;

  /** Throws NT_TX_HANDLE, NT_TX_ENDED. */
  constructor(tx: HandlerTransaction) {
    this.#handle = handleOf(tx);
  }

  connect(done?: (error: unknown, client: HandedClient, release: () => void) => void): Promise<HandedClient> {
    const client = new HandedClient(this.#handle.connect());
    done?.(undefined, client, () => client.release());
    return Promise.resolve(client);
  }

  query(...words: readonly unknown[]): Promise<StatementResult> | undefined {
    return ask(this.#handle.root, words);
  }

  /** Called when the handler has ended. */
  onEnd(callback: () => void): void {
    this.#handle.onEnd(callback);
  }

  end(): Promise<void> {
    return Promise.resolve();
  }

  /** Nothing is ever told: the connection is watched by whoever owns it. */
  on(): this {
    return this;
  }

  removeListener(): this {
    return this;
  }
}

/** One client of it. Libraries write marks of their own onto it. */
export class HandedClient {
  readonly #connection: HandleConnection;

  constructor(connection: HandleConnection) {
    this.#connection = connection;
  }

  query(...words: readonly unknown[]): Promise<StatementResult> | undefined {
    return ask(this.#connection, words);
  }

  release(): void {
    this.#connection.release();
  }

  on(): this {
    return this;
  }

  removeListener(): this {
    return this;
  }
}

function handleOf(tx: HandlerTransaction): Handle {
  const open = (tx as { [HANDLE]?: () => Handle } | undefined)?.[HANDLE];
  if (typeof open !== "function") throw fault("NT_TX_HANDLE", { got: `${typeof tx} that is not one` });
  return open.call(tx);
}

/** `query(text, values)`, `query(config, values)`, and either with a callback at the end. */
function ask(connection: HandleConnection, words: readonly unknown[]): Promise<StatementResult> | undefined {
  const done = words.find((word) => typeof word === "function") as Done<StatementResult> | undefined;
  const values = Array.isArray(words[1]) ? (words[1] as unknown[]) : undefined;
  const answer = connection.query(read(words[0] as string | Config, values));
  if (done === undefined) return answer;
  void tell(answer, done);
  return undefined;
}

async function tell(answer: Promise<StatementResult>, done: Done<StatementResult>): Promise<void> {
  let result: StatementResult;
  try {
    result = await answer;
  } catch (error) {
    done(error);
    return;
  }
  done(null, result);
}

function read(query: string | Config, given: readonly unknown[] | undefined): HandleStatement {
  if (typeof query === "string") return { text: query, values: given ?? [] };
  if (query.submit !== undefined || typeof query.text !== "string") {
    throw fault("NT_TX_HANDLE", { got: "a cursor or a stream of rows" });
  }
  if (query.binary === true) throw fault("NT_TX_HANDLE", { got: "a query for binary results" });
  return {
    text: query.text,
    values: given ?? query.values ?? [],
    ...(query.rowMode === "array" ? { rowMode: "array" } : {}),
    ...(query.types === undefined ? {} : { types: query.types }),
  };
}
