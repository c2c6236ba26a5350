import { styleText } from "node:util";

/** Text from outside, made harmless for a terminal: no escape codes, no line breaks, no direction marks. */
export function plain(value: string): string {
  return value.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** Plain where the output is no terminal or NO_COLOR is set. */
export function coloured(style: "red" | "yellow" | "green" | "dim" | "bold", value: string): string {
  return styleText(style, value, { stream: process.stdout, validateStream: true });
}

/** Rows with their columns under each other; cells are made harmless. */
export function table(head: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const cells = rows.map((row) => row.map((cell) => plain(shown(cell))));
  const widths = head.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd();
  return [coloured("dim", line(head)), ...cells.map(line)].join("\n");
}

export function shown(value: unknown): string {
  if (value === null || value === undefined) return "-";
  if (value instanceof Date) return value.toISOString();
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** `one delivery`, `3 deliveries`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return count === 1 ? `1 ${one}` : `${count} ${many}`;
}
