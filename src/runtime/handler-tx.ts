import { fault, isFault } from "../core/errors.ts";
import type { Clock, Random } from "../core/ports/clock.ts";
import { HANDLE, type Handle } from "../core/ports/handle.ts";
import type { Logger } from "../core/ports/logger.ts";
import type { Claimed, Put, QueryResult, Transaction } from "../core/ports/store.ts";
import { JOBS } from "../core/topic.ts";
import { arrival, bytesDigest, digest, ownParcel, type Parcel } from "./arrival.ts";
import type { Consumer } from "./consumer.ts";
import type { SendOptions, Sent, Tx } from "./face.ts";
import { sqlState } from "../core/sql-state.ts";
import { LibraryHandle } from "./handle.ts";
import type { Lanes } from "./lane.ts";
import { judge } from "./statement.ts";
import type { Turn } from "./turn.ts";

/** Thrown into a handler whose run must be repeated alone, through no fault of its own. Not an attempt, not an error. */
export class RunAgainAlone extends Error {
  override readonly name = "RunAgainAlone";
}

/**
 * lock_not_available, deadlock_detected and serialization_failure: the neighbours' doing, not the handler's. So is
 * query_canceled: no cancel request is ever sent on a lane, but a lock timeout that fires in the moment the lock is granted
 * is reported as one ("due to user request", seen once in some 20,000 waits).
 */
const CONTENTION = new Set(["55P03", "40P01", "40001", "57014"]);

/** So many steps after the handler's return a forgotten call of a library has come to its statement: none tried took more than 8 (test/orm). */
const LATE_STEPS = 100;

/** `tx` and `send` of one execution: opened at first use, revoked when the handler ends. */
export class HandlerTx implements Tx {
  readonly #lanes: Lanes;
  /** One, or the members of a batch. */
  readonly #claimed: readonly Claimed[];
  readonly #consumer: Consumer;
  #how: "shared" | "alone" | "again";
  readonly #host: { readonly clock: Clock; readonly random: Random; readonly logger: Logger };
  #handle: LibraryHandle | undefined;
  #sent: Map<string, number> | undefined;
  #given: { tx: Transaction; single: boolean } | undefined;
  #pending = 0;
  #revoked = false;
  turn: Turn | undefined;
  mustRunAgain = false;

  constructor(
    lanes: Lanes,
    claimed: readonly Claimed[],
    consumer: Consumer,
    how: "shared" | "alone" | "again",
    host: { readonly clock: Clock; readonly random: Random; readonly logger: Logger },
  ) {
    this.#lanes = lanes;
    this.#claimed = claimed;
    this.#consumer = consumer;
    this.#how = how;
    this.#host = host;
  }

  async query<Row = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<QueryResult<Row>> {
    const kind = judge(text);
    if (kind === "control") throw fault("NT_TX_CONTROL", { got: `\`${text.trim().slice(0, 60)}\`` });
    const { rows, rowCount } = await this.#use((tx) => tx.query(text, values), kind === "leaks");
    return { rows, rowCount };
  }

  /**
   * Hands it over to a library. Unless its consumer says `group: true` it then runs alone, what a library sends being its own
   * affair. Before its first statement that costs nothing; in the middle of a group it runs again, and its consumer leaves the
   * groups for good.
   */
  [HANDLE](): Handle {
    this.#checkRevoked();
    if (this.#handle !== undefined) return this.#handle;
    const leaves = this.#consumer.group !== true;
    if (leaves && this.#how === "shared") this.#how = "alone";
    const error = (): unknown => this.turn?.error;
    this.#handle = new LibraryHandle({
      clock: this.#host.clock,
      run: ({ text, values, ...shape }) =>
        this.#use((tx) => tx.query(text, values, shape), leaves || judge(text) === "leaks"),
      nest: async (act, name) => {
        await this.#use((tx) => tx.nest(act, name), true);
        // What failed was undone: the transaction takes statements again.
        if (act === "rollback to" && this.turn !== undefined) this.turn.error = undefined;
      },
      get error() {
        return error();
      },
    });
    return this.#handle;
  }

  /** After the handler has returned. */
  async returned(): Promise<void> {
    if (this.#handle === undefined) return;
    this.#handle.returned();
    for (let step = 0; step < LATE_STEPS; step++) await Promise.resolve();
  }

  /**
   * The key is hash(message, consumer, `key` or content, ordinal among equals): not the order of calls, which
   * Promise.all and a deploy change. A replay finds what it sent before.
   */
  async send(topic: string, payload: unknown, options: SendOptions = {}, of = this.#first): Promise<Sent> {
    const tenant = options.tenant ?? of.message.tenant;
    const { id, kind } = await this.put(ownParcel(topic, payload, { ...options, tenant }), of);
    return { id, kind: kind === "accepted" || kind === "conflict" ? kind : "duplicate" };
  }

  /** A job's own key, where it has one, means the same everywhere; all others are made here. */
  async put(parcel: Parcel, of = this.#first): Promise<Put> {
    const own = parcel.source === JOBS && (parcel.key ?? parcel.unique?.key) !== undefined;
    const put = arrival(
      own ? parcel : { ...parcel, key: this.#keyOf(parcel, of.messageId) },
      this.#host.clock,
      this.#host.random,
    );
    const [outcome] = await this.#use((tx) => tx.send([put]), false);
    if (this.turn !== undefined) this.turn.sends = true;
    return outcome ?? { kind: "duplicate", id: put.id };
  }

  #keyOf({ source, topic, key, body }: Parcel, messageId: string): string {
    const of = source === JOBS ? "job-" : "";
    const what = key === undefined ? digest(`${of}content`, topic, bytesDigest(body)) : digest(`${of}key`, topic, key);
    const sent = (this.#sent ??= new Map<string, number>());
    const ordinal = sent.get(messageId + what) ?? 0;
    sent.set(messageId + what, ordinal + 1);
    return digest("send", messageId, this.#consumer.name, what, String(ordinal));
  }

  get #first(): Claimed {
    return this.#claimed[0] as Claimed;
  }

  /** The transaction is open now. */
  get open(): boolean {
    return this.#given !== undefined;
  }

  /** Neighbours may have uncommitted writes in it. */
  get grouped(): boolean {
    return this.#given !== undefined && !this.#given.single;
  }

  /** Leaves the groups for good and runs this delivery again alone. */
  leaveGroups(): never {
    if (this.turn !== undefined) this.turn.leaves = true;
    this.mustRunAgain = true;
    throw new RunAgainAlone("this handler runs again, alone");
  }

  /** Throws when a statement is still under way, or failed and its error was swallowed. */
  checkUsable(): void {
    if (this.mustRunAgain) throw new RunAgainAlone("this handler runs again, alone");
    if (this.#pending > 0) throw fault("NT_TX_PENDING", { got: `${this.#pending} still under way` });
    const error = this.turn?.error;
    if (error !== undefined) {
      throw isFault(error) ? error : fault("NT_TX_ABORTED", { got: String(error), cause: error });
    }
    this.#handle?.check();
  }

  /** Why the attempt fails, whatever the handler threw or swallowed after that. */
  get refusal(): Error | undefined {
    return this.#handle?.refusal;
  }

  revoke(): void {
    this.#revoked = true;
    this.#handle?.end();
  }

  async #use<Result>(act: (tx: Transaction) => Promise<Result>, leaks: boolean): Promise<Result> {
    this.#checkRevoked();
    this.#pending++;
    try {
      const { tx, single } = await this.#enter();
      this.#checkRevoked();
      if (leaks && !single) this.leaveGroups();
      return await act(tx);
    } catch (error) {
      if (this.turn !== undefined && !(error instanceof RunAgainAlone)) this.turn.error ??= error;
      if (this.grouped && CONTENTION.has(sqlState(error) ?? "")) {
        if (this.turn !== undefined) this.turn.lockWait = true;
        this.mustRunAgain = true;
        throw new RunAgainAlone("a lock was held too long for a group", { cause: error });
      }
      throw error;
    } finally {
      this.#pending--;
    }
  }

  async #enter(): Promise<{ tx: Transaction; single: boolean }> {
    if (this.#given !== undefined) return this.#given;
    this.turn ??= this.#lanes.enter(this.#claimed, this.#first.message.tenant, this.#how);
    this.#given = await this.turn.begun;
    return this.#given;
  }

  #checkRevoked(): void {
    if (this.#revoked) throw fault("NT_TX_ENDED", { got: "a query after the handler had ended" });
  }
}
