/**
 * Members of a JSON object, read from the raw text.
 *
 * A key is never taken from a parsed number: 9007199254740993 would become 9007199254740992, and two messages one.
 * The text is first parsed as a whole (so that what is not JSON has no members), then walked once: strings and
 * brackets are all that has to be understood. Linear, without recursion, so that deep nesting costs nothing.
 * Of a member that stands twice the last one counts, as in JSON.parse.
 */

interface Member {
  readonly name: string;
  /** Where the member begins, its value begins, and it ends. */
  readonly from: number;
  readonly valueFrom: number;
  readonly to: number;
}

/** The top-level members, or undefined when the bytes are not a JSON object in UTF-8. */
function members(text: string): readonly Member[] | undefined {
  let at = skip(text, 0);
  if (text[at] !== "{" || parse(text) === undefined) return undefined;
  const found: Member[] = [];
  at = skip(text, at + 1);
  while (text[at] === '"') {
    const from = at;
    const nameEnd = stringEnd(text, at);
    const name = JSON.parse(text.slice(at, nameEnd)) as string;
    const valueFrom = skip(text, skip(text, nameEnd) + 1);
    const to = valueEnd(text, valueFrom);
    found.push({ name, from, valueFrom, to });
    at = skip(text, to);
    if (text[at] === ",") at = skip(text, at + 1);
  }
  return found;
}

/** The value, or undefined for what is not JSON. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function skip(text: string, at: number): number {
  while (at < text.length && " \t\r\n".includes(text[at] as string)) at++;
  return at;
}

/** Behind the string that begins at `at`. Each run of backslashes is counted once: it belongs to one quote. */
function stringEnd(text: string, at: number): number {
  for (let end = text.indexOf('"', at + 1); ; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text[end - 1 - backslashes] === "\\") backslashes++;
    if (backslashes % 2 === 0) return end + 1;
  }
}

function valueEnd(text: string, at: number): number {
  let depth = 0;
  for (; at < text.length; at++) {
    const character = text[at];
    if (character === '"') at = stringEnd(text, at) - 1;
    else if (character === "{" || character === "[") depth++;
    else if (character === "}" || character === "]") {
      if (depth === 0) return at;
      depth--;
      if (depth === 0) return at + 1;
    } else if (character === "," && depth === 0) return at;
  }
  return at;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decoded(body: Uint8Array): string | undefined {
  try {
    return utf8.decode(body);
  } catch {
    return undefined;
  }
}

/** The value at a path of member names: a string's content, a number exactly as it stands in the text, else undefined. */
export function scalarAt(body: Uint8Array, path: readonly string[]): string | undefined {
  return scalarIn(decoded(body), path);
}

function scalarIn(whole: string | undefined, path: readonly string[]): string | undefined {
  let text = whole;
  for (const name of path) {
    if (text === undefined) return undefined;
    const member: Member | undefined = members(text)?.findLast((one) => one.name === name);
    text = member === undefined ? undefined : text.slice(member.valueFrom, member.to).trim();
  }
  if (text === undefined) return undefined;
  if (text.startsWith('"')) return JSON.parse(text) as string;
  return /^-?\d/.test(text) ? text : undefined;
}

/** Several top-level scalars. Strings are as JSON.parse gives them: only for a number the text is walked. */
export function scalars(body: Uint8Array, names: readonly string[]): readonly (string | undefined)[] {
  const text = decoded(body);
  const parsed = text === undefined ? undefined : parse(text);
  if (text === undefined || typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    return names.map(() => undefined);
  }
  return names.map((name) => {
    const value = Object.hasOwn(parsed, name) ? (parsed as Record<string, unknown>)[name] : undefined;
    if (typeof value === "string") return value;
    return typeof value === "number" ? scalarIn(text, [name]) : undefined;
  });
}

/** The bytes without some top-level members; as they are when they are no JSON object. */
export function without(body: Uint8Array, names: readonly string[]): Uint8Array {
  const text = decoded(body);
  const found = text === undefined ? undefined : members(text);
  if (text === undefined || found === undefined) return body;
  const kept = found.filter((member) => !names.includes(member.name));
  if (kept.length === found.length) return body;
  return Buffer.from(kept.map((member) => text.slice(member.from, member.to)).join(","));
}
