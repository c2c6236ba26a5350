import { fault } from "../../core/errors.ts";
import { nearest } from "../../core/nearest.ts";
import type { ListedSchedule } from "../../core/ports/schedules.ts";
import { isZone, localTime } from "../../core/zone.ts";
import { CHANGED } from "../../runtime/schedules.ts";
import { type Command, isSet } from "../command.ts";
import { withStore } from "../context.ts";
import { plain, table } from "../print.ts";

const VERBS = ["list", "pause", "resume", "remove"] as const;

export const scheduleCommand: Command = {
  name: "schedule",
  usage: "schedule list | schedule pause|resume|remove <name>",
  about: "the schedules and when they are next; hold one, let it go on, end one that no code declares",
  flags: {},
  words: [1, 2],
  async run(given) {
    const [asked, name] = given.words;
    const verb = VERBS.find((one) => one === asked);
    if (verb === undefined || (verb === "list") !== (name === undefined)) {
      const near = verb === undefined ? nearest(asked ?? "", VERBS) : undefined;
      throw fault("NT_USAGE", {
        expected: this.usage,
        got: given.words.join(" "),
        ...(near === undefined ? {} : { next: `Did you mean ${near}?` }),
      });
    }
    if (name === undefined) {
      const schedules = await withStore(given, (store) => store.schedules.list());
      if (isSet(given, "json")) for (const one of schedules) console.log(JSON.stringify(one));
      else if (schedules.length === 0) console.log("no schedules");
      else console.log(listed(schedules));
      return 0;
    }
    await withStore(given, async (store) => {
      if (verb === "remove") await store.schedules.remove(name);
      else await store.schedules.pause(name, verb === "pause");
      await store.hint(CHANGED);
    });
    if (isSet(given, "json")) console.log(JSON.stringify({ schedule: name, done: verb }));
    else console.log(`${plain(name)}: ${verb === "resume" ? "resumed" : `${verb}d`}`);
    return 0;
  },
};

function listed(schedules: readonly ListedSchedule[]): string {
  const head = ["schedule", "cron", "zone", "next, local", "next, UTC", "last slot", "missed", "paused", "declared"];
  return table(
    head,
    schedules.map((one) => [
      one.name,
      one.cron,
      one.zone,
      one.pausedAt === undefined ? local(one) : undefined,
      one.pausedAt === undefined ? utc(one.nextAt) : undefined,
      utc(one.lastSlot),
      one.missed,
      utc(one.pausedAt),
      `${one.origin === "code" ? "in code" : "at run time"}, ${utc(one.declaredAt)}`,
    ]),
  );
}

function local({ nextAt, zone }: ListedSchedule): string | undefined {
  if (nextAt === undefined) return undefined;
  if (!isZone(zone)) return "a zone this machine does not know";
  const { date, time, offset } = localTime(nextAt.getTime(), zone);
  return `${date} ${time} ${offset}`;
}

function utc(at: Date | undefined): string | undefined {
  return at === undefined ? undefined : at.toISOString().replace(/\.\d+Z$/, "Z");
}
