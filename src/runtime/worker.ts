/**
 * The worker: claim, run, settle, record.
 *
 * One loop claims for all consumers in one statement and fills a small buffer each; handlers start as slots come free.
 * What wakes it: a slot or a buffer that runs low, a hint (NOTIFY, or an accept in this process), the time the next
 * delivery is due, and a poll. Hints make it quick; the poll is the truth: at most 5 s apart while anything is
 * outstanding, backing off to a minute when nothing is, so that a serverless database can sleep.
 *
 * The claim's lower bound on the due time moves with what was claimed, because dead index entries cannot be removed
 * while somebody's snapshot lives and each claim would walk them again. Rows that commit late lie below the bound: a
 * claim without it sweeps them up once a second, on this process's monotonic clock.
 */
import { defaults } from "../core/defaults.ts";
import { fault } from "../core/errors.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Want } from "../core/ports/store.ts";
import { Alarm } from "./alarm.ts";
import { Dispatcher } from "./dispatcher.ts";
import type { ExecutionHost } from "./execution.ts";
import { Lanes } from "./lane.ts";
import { Leases } from "./leases.ts";
import type { Consumer } from "./consumer.ts";
import { transactionPermits } from "./permits.ts";
import { Line } from "./line.ts";
import { Parents } from "./parents.ts";
import { Pause } from "./pause.ts";
import { Settler } from "./settler.ts";
import { Takeovers } from "./takeovers.ts";
import { UnderWay } from "./under-way.ts";

const SWEEP_MS = 1_000;

export interface WorkerHost extends Omit<ExecutionHost, "pause"> {
  readonly worker: string;
  readonly leaseMs: number;
  hint(): void;
}

export class Worker {
  readonly #host: WorkerHost & ExecutionHost;
  readonly #clock: Clock;
  readonly #alarm: Alarm;
  readonly #lines = new Map<string, Line>();
  readonly #leases: Leases;
  readonly #settler: Settler;
  readonly #dispatcher: Dispatcher;
  /** Executions and settlements. */
  readonly #underWay: UnderWay;
  #resting: (() => void)[] = [];
  #stopping = false;
  #loop: Promise<void> | undefined;
  #sweptAt = -Infinity;
  readonly #takeovers: Takeovers;
  #lookedAt = -Infinity;
  #empty = 0;
  #roundAt = 0;

  constructor(host: WorkerHost, consumers: readonly Consumer[]) {
    this.#host = { ...host, pause: new Pause(host.logger) };
    this.#clock = host.clock;
    this.#alarm = new Alarm(host.clock);
    this.#underWay = new UnderWay(host.logger, () => {
      if (this.#resting.length > 0) this.#alarm.ring();
    });
    this.#leases = new Leases(host.store, host.clock, host.logger, host.leaseMs);
    this.#takeovers = new Takeovers(host.clock, host.leaseMs / 5);
    this.#settler = new Settler(host.store, host.clock, host.logger, host.worker, host.leaseMs);
    this.#dispatcher = new Dispatcher(this.#host, {
      lines: this.#lines,
      leases: this.#leases,
      settler: this.#settler,
      underWay: this.#underWay,
      takeovers: this.#takeovers,
      parents: new Parents({ ...host, hint: () => host.hint(), track: (work) => this.#underWay.track(work) }),
      alarm: this.#alarm,
      onBlocked: () => host.hint(),
    });
    const transactions = transactionPermits<Lanes>(consumers.length);
    for (const consumer of consumers) {
      const lanes = new Lanes(
        { ...host, hint: () => host.hint(), transactions },
        { timeoutMs: consumer.timeoutMs, grouped: consumer.group !== false },
      );
      this.#lines.set(consumer.name, new Line(consumer, lanes, host.clock));
    }
  }

  start(): void {
    this.#roundAt = this.#clock.monotonic();
    this.#loop = this.#run();
  }

  /** It has not gone round for twice the longest pause: something that should have answered did not. */
  get stuck(): boolean {
    return this.#clock.monotonic() - this.#roundAt > 2 * defaults.idlePollMs;
  }

  /** Executions that have ended, however they did. */
  get ran(): number {
    return this.#dispatcher.ran;
  }

  wake(): void {
    this.#empty = 0;
    this.#alarm.ring();
  }

  /** Resolves when nothing is due and nothing is under way here, or when it was stopped. */
  rested(): Promise<void> {
    return new Promise((resolve) => {
      this.#resting.push(resolve);
      this.#alarm.ring();
    });
  }

  /** A delivery was ended by hand: its execution, if it is here, is told. */
  checkClaims(): void {
    this.#leases.check();
  }

  /**
   * Claims nothing more, gives back what has not started, lets running handlers end until the deadline, then aborts
   * them: their transactions roll back and another worker takes them.
   */
  async stop(deadlineMs: number): Promise<void> {
    this.#stopping = true;
    this.#dispatcher.stop();
    this.#alarm.ring();
    await this.#loop;
    const unstarted = [...this.#lines.values()].flatMap((line) => line.clear());
    for (const { claimed } of unstarted) this.#dispatcher.endUnrun(claimed, { outcome: "interrupted" });
    const cancel = this.#clock.after(deadlineMs, () => {
      for (const line of this.#lines.values()) line.lanes.hurry();
      this.#dispatcher.abort(fault("NT_SHUTDOWN", { got: `a handler still running after ${deadlineMs} ms` }));
    });
    await this.#underWay.none();
    cancel();
    await this.#settler.drained();
    this.#leases.stop();
    // A retry that is due in an hour must not keep a stopped process alive until then.
    this.#alarm.stop();
    for (const line of this.#lines.values()) line.deadlines.stop();
  }

  async #run(): Promise<void> {
    for (let failures = 0; !this.#stopping;) {
      this.#alarm.clear();
      this.#roundAt = this.#clock.monotonic();
      try {
        const more = await this.#claim();
        await this.#takeOver();
        await this.#lookAtParents();
        failures = 0;
        if (!more && !this.#alarm.rung && !this.#stopping) await this.#alarm.sleep(await this.#pauseMs());
      } catch (error) {
        failures++;
        this.#host.logger.warn({ error, failures }, "claim failed");
        this.#alarm.clear();
        if (!this.#stopping) await this.#alarm.sleep(Math.min(5_000, 100 * 2 ** failures));
      }
    }
    this.#rest();
  }

  #rest(): void {
    for (const told of this.#resting.splice(0)) told();
  }

  /** Whether there is reason to claim again at once. */
  async #claim(): Promise<boolean> {
    const now = this.#clock.monotonic();
    const sweep = now - this.#sweptAt > SWEEP_MS;
    const wants: Want[] = [];
    for (const line of this.#lines.values()) {
      const limit = line.wants();
      if (limit > 0) wants.push({ consumer: line.consumer.name, limit, dueFrom: sweep ? undefined : line.dueFrom });
    }
    if (wants.length === 0) return false;
    if (sweep) this.#sweptAt = now;
    const claimed = await this.#host.store.claim(wants, this.#host.leaseMs);
    for (const one of claimed) {
      this.#dispatcher.hold(one);
      if (one.expired)
        this.#dispatcher.endUnrun(one, { outcome: "cancelled", error: "expired: it was not begun in time" });
      else this.#lines.get(one.consumer)?.add({ claimed: one, alone: false, reruns: 0 });
    }
    for (const { consumer, limit } of wants) this.#lines.get(consumer)?.claimed(claimed, limit);
    for (const line of this.#lines.values()) this.#dispatcher.dispatch(line);
    if (claimed.length > 0) this.#empty = 0;
    return [...this.#lines.values()].some((line) => line.mayHaveMore && line.wants() > 0);
  }

  /** Deliveries whose lease ran out, one statement each, until none is left. */
  async #takeOver(): Promise<void> {
    if (!this.#takeovers.due()) return;
    while (this.#takeovers.mayBegin && !this.#stopping) {
      const open = [...this.#lines.values()].filter((line) => line.takesOver()).map((line) => line.consumer.name);
      if (open.length === 0) return;
      const claimed = await this.#host.store.takeOver(open, this.#host.leaseMs, this.#host.worker);
      if (claimed === undefined) return this.#takeovers.noneLeft();
      this.#dispatcher.hold(claimed);
      this.#takeovers.begin(claimed);
      const line = this.#lines.get(claimed.consumer);
      if (line === undefined) break;
      if (claimed.attempt > line.consumer.retry.maxAttempts) {
        this.#dispatcher.endAlone(claimed);
        // All of its attempts ended with their worker.
        const got = `${claimed.attempt - 1} attempts that ended with their worker`;
        this.#dispatcher.endUnrun(claimed, { outcome: "dead", error: fault("NT_WORKER_LOST", { got }).message });
        continue;
      }
      line.addFirst({ claimed, alone: true, reruns: 0 });
      this.#dispatcher.dispatch(line);
    }
  }

  /** Those who wait for children, should whoever ended the last of them not have told. */
  async #lookAtParents(): Promise<void> {
    const now = this.#clock.monotonic();
    if (now - this.#lookedAt < defaults.childrenPollMs) return;
    this.#lookedAt = now;
    if ((await this.#host.store.children.look([...this.#lines.keys()])) > 0) this.wake();
  }

  /** Until the next delivery is due, a lease may have ended, or a poll. */
  async #pauseMs(): Promise<number> {
    const full = [...this.#lines.values()].every((line) => line.wants() === 0);
    if (full) return this.#host.leaseMs / 5;
    const dueMs = await this.#host.store.nextDueMs([...this.#lines.keys()]);
    if (!this.#underWay.any && (dueMs ?? 1) > 0) this.#rest();
    if (dueMs !== undefined) {
      this.#empty = 0;
      return Math.max(1, Math.min(dueMs, defaults.pollMs, Math.max(this.#host.leaseMs / 5, 1)));
    }
    if (this.#underWay.any) return this.#host.leaseMs / 5;
    this.#empty++;
    return Math.min(defaults.idlePollMs, defaults.pollMs * 2 ** Math.min(this.#empty - 1, 10));
  }
}
