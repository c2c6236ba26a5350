/** Local time in a zone of the IANA database, from the zone data that came with this process (ICU). */

const formats = new Map<string, Intl.DateTimeFormat>();

/** Throws RangeError for a zone that is not known here. */
function format(zone: string): Intl.DateTimeFormat {
  let found = formats.get(zone);
  if (found === undefined) {
    found = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      calendar: "gregory",
      numberingSystem: "latn",
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
    });
    formats.set(zone, found);
  }
  return found;
}

export function isZone(zone: string): boolean {
  try {
    format(zone);
    return true;
  } catch {
    return false;
  }
}

export interface LocalTime {
  /** `2026-11-25` */
  readonly date: string;
  /** `02:30:00` */
  readonly time: string;
  /** `+01:00` */
  readonly offset: string;
  /**
   * Where clocks are set back this local time comes twice: which of the two it is. Undefined where it comes once.
   */
  readonly doubled: "first" | "second" | undefined;
}

export function localTime(ms: number, zone: string): LocalTime {
  const { date, time } = fields(ms, zone);
  return { date, time, offset: offsetText(offsetMs(ms, zone)), doubled: doubled(ms, zone) };
}

/** `2026-11-25T01:00:00Z`, to the second. */
export function utcText(ms: number): string {
  const { date, time } = fields(ms, "UTC");
  return `${date}T${time}Z`;
}

function fields(ms: number, zone: string): { date: string; time: string; asUtcMs: number } {
  const part: Record<string, string> = {};
  for (const { type, value } of format(zone).formatToParts(ms)) part[type] = value;
  const { year = "", month = "", day = "", hour = "", minute = "", second = "" } = part;
  const at = [year, Number(month) - 1, day, hour, minute, second].map(Number);
  const [y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0] = at;
  return {
    date: `${year.padStart(4, "0")}-${month}-${day}`,
    time: `${hour}:${minute}:${second}`,
    asUtcMs: Date.UTC(y, mo, d, h, mi, s),
  };
}

/** How far local time is ahead of UTC. */
function offsetMs(ms: number, zone: string): number {
  const second = Math.floor(ms / 1_000) * 1_000;
  return fields(second, zone).asUtcMs - second;
}

function offsetText(offset: number): string {
  const minutes = Math.abs(Math.round(offset / 60_000));
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${offset < 0 ? "-" : "+"}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

/** A day and a bit: no zone has set its clocks by more, and none twice within it. */
const AROUND_MS = 26 * 3_600_000;

function doubled(ms: number, zone: string): "first" | "second" | undefined {
  const here = offsetMs(ms, zone);
  // The same local time under the offset of the day before, or of the day after: there, if that was the offset then.
  const before = offsetMs(ms - AROUND_MS, zone);
  const earlier = ms - (before - here);
  if (before > here && offsetMs(earlier, zone) === before) return "second";
  const after = offsetMs(ms + AROUND_MS, zone);
  const later = ms + (here - after);
  if (after < here && offsetMs(later, zone) === after) return "first";
  return undefined;
}
