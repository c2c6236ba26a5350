import { fault } from "../core/errors.ts";
import type { Claimed, Settlement } from "../core/ports/store.ts";
import type { Alarm } from "./alarm.ts";
import { BatchExecution } from "./batch.ts";
import { type Ended, Execution, type ExecutionHost } from "./execution.ts";
import type { Leases } from "./leases.ts";
import type { Item, Line } from "./line.ts";
import type { Parents } from "./parents.ts";
import type { Settler } from "./settler.ts";
import type { Takeovers } from "./takeovers.ts";
import type { UnderWay } from "./under-way.ts";

/** Handlers started before the event loop goes round: the database works on one burst while the next one runs. */
const BURST = 50;

interface Parts {
  readonly lines: ReadonlyMap<string, Line>;
  readonly leases: Leases;
  readonly settler: Settler;
  readonly underWay: UnderWay;
  readonly takeovers: Takeovers;
  readonly parents: Parents;
  readonly alarm: Alarm;
  /** Children were enqueued. */
  onBlocked(): void;
}

/** Starts what was claimed as slots come free, and sees each execution to its settlement. */
export class Dispatcher {
  readonly #host: ExecutionHost;
  readonly #parts: Parts;
  readonly #running = new Set<Execution | BatchExecution>();
  #burst = 0;
  #resume: (() => void) | undefined;
  #stopping = false;
  /** Executions that have ended, however they did. */
  ran = 0;

  constructor(host: ExecutionHost, parts: Parts) {
    this.#host = host;
    this.#parts = parts;
  }

  /** Keeps its lease until it is settled; its execution is told when that is lost. */
  hold(claimed: Claimed): void {
    const { leases, lines } = this.#parts;
    leases.hold(claimed, () => {
      const lost = fault("NT_CLAIM_LOST", { got: "a lease that was not renewed" });
      for (const execution of this.#running) execution.lose(claimed, lost);
      if (lines.get(claimed.consumer)?.drop(claimed) === true) this.endAlone(claimed);
    });
  }

  dispatch(line: Line): void {
    const { alarm, lines } = this.#parts;
    while (this.#burst < BURST) {
      if (line.consumer.batch !== undefined) {
        const items = line.startBatch(line.consumer.batch.size);
        if (items.length === 0) break;
        this.#burst++;
        if (items[0]?.alone === true) alarm.ring();
        this.#executeBatch(line, items);
        continue;
      }
      const item = line.start();
      if (item === undefined) break;
      this.#burst++;
      // Another whose lease ran out may wait in its place.
      if (item.alone) alarm.ring();
      this.#execute(line, item);
    }
    // Handlers that never wait would otherwise run one after another while settlements and claims stand unsent.
    if (this.#burst >= BURST) {
      this.#resume ??= this.#host.clock.after(0, () => {
        this.#resume = undefined;
        this.#burst = 0;
        if (this.#stopping) return;
        for (const each of lines.values()) this.dispatch(each);
      });
    }
    if (line.wants() > 0 && line.mayHaveMore) alarm.ring();
  }

  /** It never ran. */
  endUnrun(claimed: Claimed, how: Pick<Settlement, "outcome" | "error">): void {
    const { settler, leases, underWay, parents } = this.#parts;
    underWay.track(
      settler.settle({ ...claimed, ...how }).then((settled) => {
        leases.release(claimed);
        if (settled && how.outcome !== "interrupted") parents.childEnded(claimed.message);
      }),
    );
  }

  endAlone(claimed: Claimed): void {
    // The next suspect need not wait for the next look.
    if (claimed.alone && this.#parts.takeovers.end(claimed)) this.#parts.alarm.ring();
  }

  /** Starts nothing more. */
  stop(): void {
    this.#stopping = true;
  }

  /** All that run. */
  abort(reason: Error): void {
    for (const execution of this.#running) execution.abort(reason);
  }

  #execute(line: Line, item: Item): void {
    const { consumer, lanes } = line;
    const execution = new Execution(this.#host, consumer, lanes, item.claimed, item.alone, item.reruns);
    this.#begin(line, execution, 1);
    this.#parts.underWay.track(
      execution.ended.then((ended) => {
        this.#running.delete(execution);
        return this.#settle(line, ended, item);
      }),
    );
  }

  #executeBatch(line: Line, items: readonly Item[]): void {
    const { consumer, lanes } = line;
    const execution = new BatchExecution(this.#host, consumer, lanes, items);
    this.#begin(line, execution, items.length);
    this.#parts.underWay.track(
      execution.ended.then((all) => {
        this.#running.delete(execution);
        return Promise.all(all.map((ended, i) => this.#settle(line, ended, items[i] as Item)));
      }),
    );
  }

  #begin(line: Line, execution: Execution | BatchExecution, members: number): void {
    this.#running.add(execution);
    line.deadlines.add(execution);
    void execution.run(() => {
      line.deadlines.delete(execution);
      line.end(members);
      if (!this.#stopping) this.dispatch(line);
    });
  }

  async #settle(line: Line, ended: Ended, item: Item): Promise<void> {
    const { leases, settler, alarm, parents } = this.#parts;
    this.ran++;
    if (ended.kind === "again") return this.#again(line, { ...item.claimed, ...ended.claim }, item);
    this.endAlone(item.claimed);
    if (ended.kind === "superseded") await settler.recordSuperseded(ended.settlement);
    let final = ended.kind === "settled-in-tx";
    if (ended.kind === "settle") {
      const { outcome, delayMs } = ended.settlement;
      const settled = await settler.settle(ended.settlement);
      if (settled && delayMs !== undefined) alarm.ringIn(delayMs);
      final = settled && outcome !== "retry" && outcome !== "interrupted";
    }
    leases.release(item.claimed);
    line.done();
    if (final) parents.childEnded(item.claimed.message);
    if (ended.kind === "blocked") {
      this.#parts.onBlocked();
      // Its last child may have ended between the look at it and now.
      parents.wake(item.claimed.messageId);
    }
  }

  /** Under its new claim, alone. */
  async #again(line: Line, claimed: Claimed, item: Item): Promise<void> {
    this.#parts.leases.release(item.claimed);
    line.done();
    if (this.#stopping) {
      await this.#parts.settler.settle({ ...claimed, outcome: "interrupted" });
      return;
    }
    this.hold(claimed);
    line.addFirst({ claimed, alone: true, reruns: item.reruns + 1 });
    this.dispatch(line);
  }
}
