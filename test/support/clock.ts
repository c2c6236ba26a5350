import type { Clock } from "../../src/core/ports/clock.ts";
import { systemClock } from "../../src/runtime/system.ts";

/** From here on a wait is a poll's, and not what a hint or a batch needs to be quick. */
const LONG_MS = 1_000;

/**
 * The machine's clock, whose long waits are noted and end when the test says so. What happens on it was not brought about by a
 * poll, however slow the machine is.
 */
export function heldClock() {
  const waits: number[] = [];
  const held = new Set<() => void>();
  let ahead = 0;
  const clock: Clock = {
    ...systemClock,
    monotonic: () => systemClock.monotonic() + ahead,
    after(ms, callback) {
      if (ms < LONG_MS) return systemClock.after(ms, callback);
      waits.push(ms);
      held.add(callback);
      return () => void held.delete(callback);
    },
  };
  return {
    clock,
    waits,
    pass(): void {
      const due = [...held];
      held.clear();
      for (const run of due) run();
    },
    jump(ms: number): void {
      ahead += ms;
    },
  };
}

/** A clock on which time passes when the test says so, and not because the machine is slow. Timers are the machine's. */
export function stillClock(): { readonly clock: Clock; jump(ms: number): void } {
  let now = 0;
  return { clock: { ...systemClock, monotonic: () => now }, jump: (ms) => void (now += ms) };
}
