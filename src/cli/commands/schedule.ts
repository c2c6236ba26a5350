import { fault } from "../../core/errors.ts";
import { nearest } from "../../core/nearest.ts";
import type { ListedSchedule } from "../../core/ports/schedules.ts";
import { isZone, localTime } from "../../core/zone.ts";
import type { Store } from "../../core/ports/store.ts";
import type { Missed } from "../../core/schedule.ts";
import { Nevertwice } from "../../index.ts";
import { CHANGED } from "../../runtime/schedules.ts";
import { type Command, type Given, isSet, text } from "../command.ts";
import { configured, withStore } from "../context.ts";
import { quiet } from "../log.ts";
import { plain, table } from "../print.ts";
import { wholeNumber } from "../words.ts";

const VERBS = ["list", "set", "pause", "resume", "remove"] as const;
/** Of `set`. */
const TIMING = ["cron", "zone", "missed", "jitter-ms", "job", "topic", "input"] as const;

export const scheduleCommand: Command = {
  name: "schedule",
  usage: "schedule list | schedule pause|resume|remove <name> | schedule set <name> --cron <expression> --zone <zone>",
  about:
    "the schedules and when they are next; hold one, let it go on, end one that no code declares; set one at run time",
  flags: {
    cron: { type: "string", value: "expression", about: "set: when, as '0 2 * * *'" },
    zone: { type: "string", value: "zone", about: "set: where, as Europe/Berlin" },
    job: { type: "string", value: "name", about: "set: enqueue this job; its input is checked, with a config file" },
    topic: { type: "string", value: "topic", about: "set: send to this topic (default: the schedule's name)" },
    input: { type: "string", value: "json", about: "set: what each holds (default: the slot)" },
    missed: { type: "string", value: "policy", about: "set: once, skip or all (default: once)" },
    "jitter-ms": { type: "string", value: "ms", about: "set: due up to so much later (default: 0)" },
  },
  words: [1, 2],
  async run(given) {
    const [asked, name] = given.words;
    const verb = VERBS.find((one) => one === asked);
    const timed = TIMING.some((flag) => text(given, flag) !== undefined);
    if (verb === undefined || (verb === "list") !== (name === undefined) || (timed && verb !== "set")) {
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
      if (verb === "set") return set(given, store, name);
      if (verb === "remove") await store.schedules.remove(name);
      else await store.schedules.pause(name, verb === "pause");
      await store.hint(CHANGED);
    });
    if (isSet(given, "json")) console.log(JSON.stringify({ schedule: name, done: verb }));
    else
      console.log(
        `${plain(name)}: ${{ set: "set", pause: "paused", resume: "resumed", remove: "removed", list: "" }[verb]}`,
      );
    return 0;
  },
};

/** As `nt.schedules.set`. The job's schema is known where there is a config file that declares it. */
async function set(given: Given, store: Store, name: string): Promise<void> {
  const [job, input, topic] = [text(given, "job"), text(given, "input"), text(given, "topic")];
  const check = job === undefined ? undefined : (await configured(given))?.consumers.get(job)?.check;
  const schema = text(given, "schema");
  const nt = new Nevertwice({ database: store, logger: quiet, ...(schema === undefined ? {} : { schema }) });
  const missed = text(given, "missed") as Missed | undefined;
  const jitterMs = wholeNumber("--jitter-ms", text(given, "jitter-ms"), { least: 0, most: 86_400_000, otherwise: 0 });
  await nt.schedules.set(name, {
    cron: text(given, "cron") ?? "",
    zone: text(given, "zone") ?? "",
    jitterMs,
    ...(missed === undefined ? {} : { missed }),
    ...(topic === undefined ? {} : { topic }),
    ...(job === undefined
      ? {}
      : { job: check === undefined ? job : { name: job, check: async (value) => check(value) } }),
    ...(input === undefined ? {} : { input: parsed(input) }),
  });
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw fault("NT_USAGE", { expected: "--input as JSON", got: json.slice(0, 60), cause });
  }
}

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
      `${{ code: "in code", api: "at run time", job: `at run time, of job ${one.topic}` }[one.origin]}, ${utc(one.declaredAt)}`,
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
