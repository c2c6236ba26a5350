// What a scheduler is got wrong by: deciding without the row, and deciding apart from sending.
import type { Store } from "../../src/core/ports/store.ts";
import type { Canary } from "./canaries.ts";
import { bound } from "./failpoints.ts";

/** A statement without a part of it. A part that is not there any more would leave a guard in its place unseen. */
function without(text: string, part: string, instead: string): string {
  if (!text.includes(part)) throw new Error(`the statement has no ${part}`);
  return text.replace(part, instead);
}

export const scheduleCanaries = {
  "turn-ignored": {
    about: "a slot is decided without comparing the schedule's row with what was read",
    reasons: ["doubled"],
    statement: (text: string) =>
      text.startsWith("-- decide")
        ? without(without(text, "s.turn = $2::bigint", "$2::bigint is not null"), " skip locked", "")
        : text,
  },
  "moved-apart": {
    about: "the schedule is moved on in a transaction of its own, before its messages are accepted",
    reasons: ["lost"],
    wrap(store: Store) {
      const { accept } = bound(store);
      const { schedules } = store;
      const decide = schedules.decide.bind(schedules);
      schedules.decide = async (turn, arrivals) => {
        const moved = await decide(turn, []);
        if (moved === undefined || arrivals.length === 0) return moved;
        // As long as anything takes: a process that is killed meanwhile has sent nothing.
        await new Promise((resolve) => setTimeout(resolve, 100));
        return accept(arrivals);
      };
      return store;
    },
  },
} satisfies Record<string, Canary>;
