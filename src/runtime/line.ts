import type { Clock } from "../core/ports/clock.ts";
import type { Claimed } from "../core/ports/store.ts";
import type { Consumer } from "./consumer.ts";
import { Deadlines } from "./deadlines.ts";
import type { Lanes } from "./lane.ts";

/** A claimed delivery that waits for a slot. */
export interface Item {
  readonly claimed: Claimed;
  readonly alone: boolean;
  /** Runs of this attempt that were rolled back for a neighbour's sake. */
  readonly reruns: number;
}

/** As much as is worked off in this time is claimed ahead: more would make others wait behind this process. */
const AHEAD_MS = 200;
const MOST_AHEAD = 2_000;
/** How often its pace is read: a backlog is met at full pace within a few of these. */
const COUNT_MS = 50;

/** One consumer in this process: what it has claimed ahead, and how many of its handlers run. */
export class Line {
  readonly consumer: Consumer;
  readonly lanes: Lanes;
  readonly deadlines: Deadlines<{ timeOut(): void }>;
  readonly #clock: Clock;
  #items: Item[] = [];
  #running = 0;
  #unsettled = 0;
  #finished = 0;
  #countedAt: number;
  #perSecond = 0;
  /** The lower bounds of the next claim, by priority. */
  readonly dueFrom = new Map<number, number>();
  /** The last claim came back full. */
  mayHaveMore = false;

  constructor(consumer: Consumer, lanes: Lanes, clock: Clock) {
    this.consumer = consumer;
    this.lanes = lanes;
    this.#clock = clock;
    this.#countedAt = clock.monotonic();
    this.deadlines = new Deadlines(clock, consumer.timeoutMs, (execution) => execution.timeOut());
  }

  /** How many to claim now: none while at least half of what is wanted ahead is here. */
  wants(): number {
    const ahead = Math.min(
      MOST_AHEAD,
      Math.max(
        this.consumer.concurrency * 2 * (this.consumer.batch?.size ?? 1),
        Math.ceil((this.#perSecond * AHEAD_MS) / 1_000),
      ),
    );
    // What is done but not yet settled counts: settlement that falls behind slows the claims.
    const room = this.#items.length > ahead / 2 || this.#unsettled > MOST_AHEAD * 4 ? 0 : ahead - this.#items.length;
    return room;
  }

  /**
   * Whether one whose lease ran out may be taken over: it starts now, or waits first in line. Only one waits: where all
   * handlers hang, another worker may have a slot for the rest.
   */
  takesOver(): boolean {
    return this.#hasRoom() || this.#items[0]?.alone !== true;
  }

  #hasRoom(): boolean {
    return this.#running < this.consumer.concurrency;
  }

  add(item: Item): void {
    this.#items.push(item);
  }

  addFirst(item: Item): void {
    this.#items.unshift(item);
  }

  /** After a claim: moves the bounds, and notes whether there may be more. */
  claimed(all: readonly Claimed[], asked: number): void {
    const mine = all.filter((one) => one.consumer === this.consumer.name);
    // In the order of their due times within a priority: the last one stays.
    for (const { priority, dueAt } of mine) this.dueFrom.set(priority, dueAt);
    this.mayHaveMore = mine.length > 0 && mine.length >= asked;
  }

  /** The next delivery, when a slot is free. */
  start(): Item | undefined {
    if (!this.#hasRoom()) return undefined;
    const item = this.#items.shift();
    if (item === undefined) return undefined;
    this.#running++;
    this.#unsettled++;
    return item;
  }

  /** The members of the next batch, of one tenant, when a slot is free: as many as are here. One that must run alone does. */
  startBatch(most: number): readonly Item[] {
    const first = this.#hasRoom() ? this.#items[0] : undefined;
    if (first === undefined) return [];
    const { tenant } = first.claimed.message;
    const items: Item[] = [];
    const left: Item[] = [];
    for (const item of this.#items) {
      const joins = item === first || (!first.alone && !item.alone && item.claimed.message.tenant === tenant);
      (joins && items.length < most ? items : left).push(item);
    }
    this.#items = left;
    this.#running++;
    this.#unsettled += items.length;
    return items;
  }

  /** The handler has returned: its slot is free. */
  end(members = 1): void {
    this.#running--;
    this.#finished += members;
    const elapsed = this.#clock.monotonic() - this.#countedAt;
    if (elapsed < COUNT_MS) return;
    this.#perSecond = (this.#perSecond + (this.#finished * 1_000) / elapsed) / 2;
    this.#finished = 0;
    this.#countedAt += elapsed;
  }

  done(): void {
    this.#unsettled--;
  }

  /** Whether it was still waiting here. */
  drop(claimed: Claimed): boolean {
    const before = this.#items.length;
    this.#items = this.#items.filter((item) => item.claimed.claim !== claimed.claim);
    return this.#items.length < before;
  }

  clear(): readonly Item[] {
    return this.#items.splice(0);
  }
}
