import { Cron } from "croner";
import type { CronPort } from "../core/ports/cron.ts";

/**
 * Cron expressions by `croner`: its arithmetic alone, never its timers. Times that are named (`30 2`, `0 8,20`, `0 9-17`) come
 * once a day each, also on the days when clocks change; where minutes or hours are counted out (`*`, a step) they follow real time.
 */
export const cron: CronPort = {
  read(expression, zone) {
    const pattern = new Cron(expression, {
      timezone: zone,
      paused: true,
      mode: "5-or-6-parts",
      fixedTimeRule: "no-wildcard",
    });
    return {
      next: (afterMs) => pattern.nextRun(new Date(afterMs))?.getTime(),
      previous: (count, beforeMs) => pattern.previousRuns(count, new Date(beforeMs)).map((at) => at.getTime()),
    };
  },
};
