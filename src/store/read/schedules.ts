import { fault } from "../../core/errors.ts";
import type { ListedSchedule, Origin } from "../../core/ports/schedules.ts";
import type { Reader } from "./reader.ts";

const LIST = `-- list schedules
select
  s.name, s.topic, s.cron, s.zone, s.missed, s.jitter_ms, s.origin, s.next_at, s.last_slot, s.paused_at, s.declared_at
from nevertwice.schedule s
order by s.name`;

// pause schedule: or resume it. What was decided on before is not written any more. $1 name, $2 whether it is paused.
const PAUSE = `-- pause schedule
update nevertwice.schedule s
set
  paused_at = case when $2::boolean then coalesce(s.paused_at, nevertwice.clock()) end,
  turn = s.turn + 1
where s.name = $1
returning s.name`;

const ORIGIN = `-- origin: where a schedule is declared. $1 name
select s.origin
from nevertwice.schedule s
where s.name = $1`;

// remove schedule: not while a process declares it: it would be back within the minute. $1 name.
const REMOVE = `-- remove schedule
delete from nevertwice.schedule s
where s.name = $1
  and (s.origin <> 'code' or s.declared_at < (select nevertwice.clock()) - interval '10 minutes')
returning s.name`;

interface Row extends Omit<ListedSchedule, "jitterMs" | "nextAt" | "lastSlot" | "pausedAt" | "declaredAt"> {
  readonly jitter_ms: number;
  readonly next_at: Date | null;
  readonly last_slot: Date | null;
  readonly paused_at: Date | null;
  readonly declared_at: Date;
}

export async function listSchedules(reader: Reader): Promise<readonly ListedSchedule[]> {
  const { rows } = await reader.query<Row>(LIST);
  return rows.map(({ jitter_ms, next_at, last_slot, paused_at, declared_at, ...rest }) => ({
    ...rest,
    jitterMs: jitter_ms,
    nextAt: next_at ?? undefined,
    lastSlot: last_slot ?? undefined,
    pausedAt: paused_at ?? undefined,
    declaredAt: declared_at,
  }));
}

/** Throws NT_NOT_FOUND. */
export async function pauseSchedule(reader: Reader, name: string, paused: boolean): Promise<void> {
  if ((await reader.query(PAUSE, [name, paused])).rows.length === 0) throw noSchedule(name);
}

export async function originOf(reader: Reader, name: string): Promise<Origin | undefined> {
  return (await reader.query<{ origin: Origin }>(ORIGIN, [name])).rows[0]?.origin;
}

/** Throws NT_NOT_FOUND, and NT_SCHEDULE_ORIGIN while a process declares it in code. */
export async function removeSchedule(reader: Reader, name: string): Promise<void> {
  if ((await reader.query(REMOVE, [name])).rows.length > 0) return;
  const origin = await originOf(reader, name);
  if (origin === undefined) throw noSchedule(name);
  throw fault("NT_SCHEDULE_ORIGIN", {
    got: named(name, origin),
    next: "Pause it, or take it out of the code: ten minutes after the last process that declares it has gone it can be removed.",
  });
}

function noSchedule(name: string): Error {
  return fault("NT_NOT_FOUND", {
    expected: "a schedule's name",
    got: `\`${name}\``,
    next: "See `nevertwice schedule list`.",
  });
}

export function named(name: string, origin: Origin): string {
  return `\`${name}\`, which ${origin === "code" ? "code declares" : "was set at run time"}`;
}
