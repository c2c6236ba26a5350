import { fault } from "../core/errors.ts";
import type { Clock, Random } from "../core/ports/clock.ts";
import type { Logger } from "../core/ports/logger.ts";
import type { Store } from "../core/ports/store.ts";
import type { Consumer } from "./consumer.ts";
import { Housekeeping, type Windows } from "./housekeeping.ts";
import { CHANGED, type Schedules } from "./schedules.ts";
import { Worker, type WorkerHost } from "./worker.ts";

/** Who gives the hint that something running was ended by hand. */
export const CANCELLED = "cancelled";

export interface RunDueOptions {
  readonly maxMs: number;
  /** How long handlers that still run after `maxMs` may go on. @default 5000 */
  readonly graceMs?: number;
}

export interface WorkingHost {
  ready(): Promise<Store>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Who this process is. */
  readonly worker: string;
  readonly leaseMs: number;
  hint(): void;
  readonly consumers: ReadonlyMap<string, Consumer>;
  readonly windows: Windows;
  readonly schedules: Schedules;
}

/** The working side of an instance: for as long as the process is up, or for a while. */
export class Working {
  readonly #host: WorkingHost;
  worker: Worker | undefined;
  #unlisten: (() => Promise<void>) | undefined;
  #housekeeping: Housekeeping | undefined;

  constructor(host: WorkingHost) {
    this.#host = host;
  }

  async start(): Promise<void> {
    const { schedules, consumers, windows } = this.#host;
    const store = await this.#host.ready();
    await schedules.declare(store);
    if (this.worker !== undefined) return;
    const host = this.#workerHost(store);
    const worker = new Worker(host, this.#here());
    this.worker = worker;
    this.#unlisten = await store.listen((from) => {
      if (from === CANCELLED) worker.checkClaims();
      else if (from === CHANGED) schedules.wake();
      else if (from !== host.worker) worker.wake();
    });
    worker.start();
    schedules.start(store);
    const declared = (): Consumer[] => [...consumers.values()];
    this.#housekeeping = new Housekeeping(host, declared, windows, () => schedules.round(store));
  }

  async stop(deadlineMs: number): Promise<void> {
    this.#housekeeping?.stop();
    await this.#unlisten?.();
    await Promise.all([this.#host.schedules.stop(), this.worker?.stop(deadlineMs)]);
  }

  /**
   * Where the platform freezes the process in the middle of it, what it had claimed is taken over by the next one, as from any
   * worker that vanished; what it still writes when it wakes up names claims that are gone.
   */
  async runDue({ maxMs, graceMs = 5_000 }: RunDueOptions): Promise<{ ran: number; more: boolean }> {
    const { clock, windows, consumers, schedules } = this.#host;
    const endsAt = clock.monotonic() + maxMs;
    const store = await this.#host.ready();
    if (this.worker !== undefined) {
      throw fault("NT_OPTION", {
        expected: "runDue() in a process that has not started",
        got: "a call after start()",
      });
    }
    await schedules.once(store);
    const worker = new Worker(this.#workerHost(store), this.#here());
    worker.start();
    let cancel = (): void => {};
    const late = new Promise<"late">((resolve) => {
      cancel = clock.after(Math.max(0, endsAt - clock.monotonic()), () => resolve("late"));
    });
    const more = (await Promise.race([worker.rested(), late])) === "late";
    cancel();
    await worker.stop(graceMs);
    if (!more) await Housekeeping.once(store, [...consumers.values()], windows, async () => {});
    return { ran: worker.ran, more };
  }

  /** The consumers that are handled here. */
  #here(): Consumer[] {
    return [...this.#host.consumers.values()].filter((one) => one.elsewhere !== true);
  }

  #workerHost(store: Store): WorkerHost {
    const { clock, random, logger, worker, leaseMs } = this.#host;
    return { store, clock, random, logger, worker, leaseMs, hint: () => this.#host.hint() };
  }
}
