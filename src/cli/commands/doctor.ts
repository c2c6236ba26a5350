import { defaults } from "../../core/defaults.ts";
import { isFault } from "../../core/errors.ts";
import { lowestId } from "../../core/id.ts";
import type { ListedSchedule } from "../../core/ports/schedules.ts";
import type { Runtime } from "../../runtime/nevertwice.ts";
import { type ListedConsumer, listConsumers } from "../../store/read/consumers.ts";
import { type Health, health } from "../../store/read/health.ts";
import { type ListedTimeline, listTimelines } from "../../store/read/timeline.ts";
import { type Command, type Given, isSet } from "../command.ts";
import { configured, withStore } from "../context.ts";
import { coloured, counted, plain } from "../print.ts";

interface Finding {
  readonly level: "ok" | "warning" | "error";
  readonly what: string;
  readonly found: string;
  /** What to do about it. */
  readonly next?: string;
}

const DAY_MS = 86_400_000;
/** A running instance declares its consumers again every minute or so. */
const UNDECLARED_MS = 3_600_000;

export const doctor: Command = {
  name: "doctor",
  usage: "doctor",
  about: "check the database, the schema, the backlog, the schedules and the sources; exit 1 on an error",
  flags: {},
  words: [0, 0],
  async run(given) {
    const findings = await examine(given);
    const bad = findings.some((finding) => finding.level === "error");
    if (isSet(given, "json")) console.log(JSON.stringify({ healthy: !bad, findings }));
    else for (const finding of findings) print(finding);
    return bad ? 1 : 0;
  },
};

async function examine(given: Given): Promise<readonly Finding[]> {
  const nowMs = Date.now();
  const findings: Finding[] = [];
  try {
    const read = await withStore(given, async (store) => ({
      found: await health(store, lowestId(nowMs - 7 * DAY_MS)),
      consumers: await listConsumers(store),
      timelines: await listTimelines(store),
      schedules: await store.schedules.list(),
    }));
    findings.push(
      ...aboutServer(read.found),
      { level: "ok", what: "schema", found: "the tables of this version" },
      aboutTimeline(read.timelines),
      ...aboutBacklog(read.found, read.consumers, nowMs),
      ...aboutSchedules(read.schedules, nowMs),
      ...aboutHorizon(read.found),
    );
  } catch (error) {
    if (!isFault(error)) throw error;
    const what = error.code.startsWith("NT_SCHEMA") ? "schema" : "connection";
    findings.push({ level: "error", what, found: `${error.code}: ${error.got}`, next: error.next });
  }
  const nt = await configured(given);
  if (nt !== undefined) findings.push(...aboutSources(nt));
  return findings;
}

function aboutServer({ server }: Health): Finding[] {
  const findings: Finding[] = [
    { level: "ok", what: "connection", found: `PostgreSQL ${server.version} as ${server.role}` },
  ];
  if (server.in_recovery) {
    findings.push({
      level: "error",
      what: "primary",
      found: "this is a standby",
      next: "Point the URL at the primary: nothing can be accepted on a standby.",
    });
  }
  for (const setting of ["fsync", "full_page_writes"] as const) {
    if (server[setting] === "on") continue;
    findings.push({
      level: "error",
      what: "durability",
      found: `${setting} = ${server[setting]}: a crash of the machine can lose or damage what was committed`,
      next: `Set ${setting} = on and reload.`,
    });
  }
  const weak = ["off", "local", "remote_write"].includes(server.synchronous_commit);
  findings.push(
    weak
      ? {
          level: "warning",
          what: "durability",
          found: `synchronous_commit = ${server.synchronous_commit}: Nevertwice raises it for its own transactions, your other ones are not durable`,
          next: "Set synchronous_commit = on where that matters.",
        }
      : {
          level: "ok",
          what: "durability",
          found: `fsync ${server.fsync}, synchronous_commit ${server.synchronous_commit}`,
        },
  );
  return findings;
}

export function aboutTimeline(timelines: readonly ListedTimeline[]): Finding {
  const what = "timeline";
  const current = timelines.find((one) => one.current);
  if (current === undefined) {
    return {
      level: "warning",
      what,
      found:
        "this server does not tell which one it is on: a restore or a failover that goes back in time is not noticed",
      next: "After one, stop the workers first, and have what was lost sent again before they start: docs/guarantees.md.",
    };
  }
  if (current.confirmed_at !== null) {
    return { level: "ok", what, found: `${current.id}, confirmed ${current.confirmed_at.toISOString()}` };
  }
  const since = current.seen_at === null ? "" : `, seen first ${current.seen_at.toISOString()}`;
  const before = timelines.findLast((one) => one.confirmed_at !== null);
  const was = before === undefined ? "" : `; it was on ${before.id}`;
  return {
    level: "error",
    what,
    found: `the database went back in time, or moved: ${current.id}${since}${was}. Steps are paused`,
    next: "Have the providers send again what is lost, compare what they did with what is recorded here, then: nevertwice timeline confirm",
  };
}

function aboutBacklog(found: Health, consumers: readonly ListedConsumer[], nowMs: number): Finding[] {
  const findings: Finding[] = found.stuck.map(({ consumer, leases_over, overdue, longest_seconds }) => ({
    level: "error",
    what: "stuck deliveries",
    found: `${consumer}: ${overdue} overdue, ${leases_over} with a lease that ended, the longest ${Math.round(longest_seconds)} s ago`,
    next: "Is a worker running that declares this consumer? See its log; `nevertwice list --state outstanding`.",
  }));
  for (const consumer of consumers) {
    const undeclared = nowMs - consumer.declared_at.getTime() > UNDECLARED_MS;
    if (consumer.retired_at === null && undeclared && consumer.outstanding > 0) {
      findings.push({
        level: "warning",
        what: "consumer nobody declares",
        found: `${consumer.name}: ${consumer.outstanding} outstanding, last declared ${consumer.declared_at.toISOString()}`,
        next: `Start the process that declares it, or end it: nevertwice consumer retire ${consumer.name}`,
      });
    }
    if (consumer.paused_at !== null && consumer.outstanding > 0) {
      findings.push({
        level: "warning",
        what: "paused consumer",
        found: `${consumer.name}: ${consumer.outstanding} outstanding, paused since ${consumer.paused_at.toISOString()}`,
        next: `Resume it when it may go on: nevertwice consumer resume ${consumer.name}`,
      });
    }
    if (consumer.dead > 0) {
      findings.push({
        level: "warning",
        what: "dead letters",
        found: `${consumer.name}: ${consumer.dead}`,
        next: "See `nevertwice list --state dead`; once mended: nevertwice replay --dead",
      });
    }
  }
  for (const { source, topic, messages } of found.unhandled) {
    findings.push({
      level: "warning",
      what: "topic without a consumer",
      found: `${source} ${topic}: ${counted(messages, "message")} kept in the last 7 days`,
      next: "Declare a consumer and give it the older ones: nevertwice replay --consumer <name> --since 7d",
    });
  }
  for (const { source, reason, refused } of found.refusals) {
    findings.push({ level: "ok", what: "refusals", found: `${source}: ${refused} in the last day, ${reason}` });
  }
  if (findings.every((finding) => finding.level === "ok")) {
    findings.push({ level: "ok", what: "backlog", found: "nothing is stuck, nothing is dead" });
  }
  for (const { name, blocked } of consumers) {
    if (blocked === 0) continue;
    const found = `${name}: ${counted(blocked, "delivery waits for its children", "deliveries wait for their children")}`;
    findings.push({ level: "ok", what: "children", found });
  }
  return findings;
}

function aboutSchedules(schedules: readonly ListedSchedule[], nowMs: number): Finding[] {
  const findings: Finding[] = [];
  for (const { name, origin, declaredAt, nextAt, pausedAt } of schedules) {
    if (origin === "code" && nowMs - declaredAt.getTime() > UNDECLARED_MS) {
      findings.push({
        level: "warning",
        what: "schedule nobody declares",
        found: `${name}: last declared ${declaredAt.toISOString()}; it sends nothing`,
        next: `Start the process that declares it, or end it: nevertwice schedule remove ${name}`,
      });
    } else if (pausedAt === undefined && nextAt !== undefined && nowMs - nextAt.getTime() > defaults.scheduleGraceMs) {
      findings.push({
        level: "error",
        what: "schedule stands still",
        found: `${name}: its slot of ${nextAt.toISOString()} was not taken care of`,
        next: "Is a process running that was started with start(), and declares its job if it is of one? Its log says why it could not.",
      });
    }
  }
  return findings;
}

function aboutHorizon({ horizon }: Health): Finding[] {
  return horizon.map(({ kind, name, query, seconds }) => ({
    level: "warning",
    what: "vacuum horizon",
    found: `${kind} ${name} has pinned it${seconds === null ? "" : ` for ${Math.round(seconds)} s`}${query === null ? "" : `: ${query}`}`,
    next:
      kind === "session"
        ? "Dead rows cannot be removed while it lives: end it (select pg_terminate_backend(pid)), or set idle_in_transaction_session_timeout."
        : kind === "prepared transaction"
          ? "Commit it or roll it back by its name."
          : "Drop the slot if nobody reads it any more.",
  }));
}

function aboutSources(nt: Runtime): Finding[] {
  const windowMs = nt.dedupeDays * DAY_MS;
  const findings: Finding[] = [];
  for (const [name, { source }] of nt.inboxes) {
    const { retryHorizonMs } = source.facts;
    const tolerance =
      source.toleranceMs === undefined ? "no timestamp" : `timestamps within ${source.toleranceMs / 1_000} s`;
    const horizon =
      retryHorizonMs === undefined ? "its retries are not published" : `it retries for ${days(retryHorizonMs)}`;
    const found = `${name} (${source.provider}): keys remembered ${nt.dedupeDays} days, ${horizon}; ${tolerance}; the proof covers ${source.proves}`;
    if (retryHorizonMs !== undefined && windowMs < retryHorizonMs) {
      findings.push({
        level: "warning",
        what: "dedupe window",
        found,
        next: `A late retry would run twice: set dedupeDays to at least ${Math.ceil(retryHorizonMs / DAY_MS)} (default ${defaults.dedupeDays}).`,
      });
    } else findings.push({ level: "ok", what: "source", found });
  }
  return findings;
}

function days(ms: number): string {
  return ms >= DAY_MS ? `${ms / DAY_MS} days` : `${ms / 3_600_000} hours`;
}

function print({ level, what, found, next }: Finding): void {
  const style = { ok: "green", warning: "yellow", error: "red" } as const;
  console.log(`${coloured(style[level], level.padEnd(7))}  ${what}: ${plain(found)}`);
  if (next !== undefined) console.log(`         ${plain(next)}`);
}
