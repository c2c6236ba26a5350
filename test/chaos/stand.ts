import { AsyncLocalStorage } from "node:async_hooks";
import { writeSync } from "node:fs";
import type { Arm, Line, Point, Standing } from "./signals.ts";

/** The delivery that a handler works on, seen from what it calls. */
export interface Held {
  readonly deliveryId: string;
  readonly claim?: string;
  readonly message: string;
  readonly consumer: string;
}

/** Writes a line and returns when it has left the process. */
export function say(line: Line): void {
  const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
  for (let sent = 0; sent < bytes.length; ) {
    try {
      sent += writeSync(1, bytes, sent);
    } catch (error) {
      // The harness is slow to read: a pipe that is full is tried again.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
  }
}

/**
 * The failpoints of one process. It stops itself with SIGSTOP at the very point, and the harness decides: SIGKILL, or a
 * fault while it stands still and SIGCONT after it.
 */
export class Stand {
  readonly running = new AsyncLocalStorage<Held>();
  readonly held = new Map<string, Held>();
  readonly #zombies = new Set<string>();
  #armed: Arm = { arm: undefined };

  constructor() {
    process.on("message", (order: Arm) => (this.#armed = order));
  }

  /** Whether the process is to stop here. */
  armed(point: Point, candidates: readonly Held[] = []): Held | true | undefined {
    if (this.#armed.arm !== point) return undefined;
    const { consumer } = this.#armed;
    if (consumer === undefined) return candidates[0] ?? true;
    return candidates.find((one) => one.consumer === consumer);
  }

  at(point: Point, victim: Held | true): void {
    this.#armed = { arm: undefined };
    const held = victim === true ? undefined : victim;
    const standing: Standing = {
      at: point,
      ...(held === undefined ? {} : { deliveryId: held.deliveryId, message: held.message }),
      ...(held?.claim === undefined ? {} : { claim: held.claim }),
    };
    say(standing);
    process.kill(process.pid, "SIGSTOP");
    // Only a process that was continued gets here. Whatever it held, somebody else may hold by now.
    for (const deliveryId of this.held.keys()) this.#zombies.add(deliveryId);
  }

  isZombie(deliveryId: string): boolean {
    return this.#zombies.has(deliveryId);
  }

  hold(one: Held): void {
    this.held.set(one.deliveryId, one);
    this.#zombies.delete(one.deliveryId);
  }
}
