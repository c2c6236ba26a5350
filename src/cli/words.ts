import { fault } from "../core/errors.ts";

export function wholeNumber(
  flag: string,
  given: string | undefined,
  { least, most, otherwise }: { least: number; most: number; otherwise: number },
): number {
  if (given === undefined) return otherwise;
  const value = Number(given);
  if (/^\d+$/.test(given) && value >= least && value <= most) return value;
  throw fault("NT_USAGE", { expected: `${flag} from ${least} to ${most}`, got: given });
}

/** A moment: ISO 8601, or so long ago: 90s, 15m, 6h, 3d. */
export function moment(flag: string, given: string, nowMs: number): Date {
  const ago = /^(\d+)([smhd])$/.exec(given);
  if (ago !== null) {
    const unitMs = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[ago[2] as "s" | "m" | "h" | "d"];
    return new Date(nowMs - Number(ago[1]) * unitMs);
  }
  const at = new Date(given);
  if (/^\d{4}-\d{2}-\d{2}/.test(given) && !Number.isNaN(at.getTime())) return at;
  throw fault("NT_USAGE", { expected: `${flag} as 2026-11-24T10:00:00Z, or 90s, 15m, 6h, 3d ago`, got: given });
}
