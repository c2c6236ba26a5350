/**
 * What a handler's SQL may do to the transaction it shares. The first word decides; comments and white space before
 * it are skipped. A statement in the extended protocol holds exactly one command, so there is no second one to hide.
 */
const FIRST_WORD = /^(?:\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/|\()*([a-z]+)/i;
const CONTROL = new Set(["begin", "commit", "rollback", "savepoint", "release", "start", "end", "abort", "prepare"]);
const CONTAINED = new Set(["select", "insert", "update", "delete", "merge", "with", "values", "table"]);
const LEAKS = /set_config|advisory/i;

/**
 * `control`: would end or split the transaction: refused.
 * `leaks`: changes state that outlives a savepoint (settings, roles, advisory locks, temporary tables) and would reach
 * a neighbour in the group: its handler runs alone.
 */
export function judge(text: string): "contained" | "leaks" | "control" {
  const word = FIRST_WORD.exec(text)?.[1]?.toLowerCase();
  if (word === undefined) return "leaks";
  if (CONTROL.has(word)) return "control";
  return CONTAINED.has(word) && !LEAKS.test(text) ? "contained" : "leaks";
}

/** What a library means by a statement of its own about transactions. */
export type Control =
  | { readonly kind: "begin" | "commit" | "rollback" }
  | { readonly kind: "savepoint" | "release" | "rollback-to"; readonly name: string }
  /** Nothing that has a place inside a transaction: another isolation level, `commit and chain`, a prepared transaction. */
  | { readonly kind: "refused" };

const MODE = String.raw`(?:isolation\s+level\s+read\s+(?:un)?committed|read\s+write|not\s+deferrable)`;
const WORK = String.raw`(?:\s+(?:work|transaction))?`;
const NAME = String.raw`("(?:[^"]|"")+"|[a-z_][\w$]*)`;
const FORMS: readonly (readonly [Control["kind"], RegExp])[] = [
  ["begin", new RegExp(String.raw`^(?:begin${WORK}|start\s+transaction)(?:[\s,]+${MODE})*$`, "i")],
  ["commit", new RegExp(`^(?:commit|end)${WORK}$`, "i")],
  ["rollback", new RegExp(`^(?:rollback|abort)${WORK}$`, "i")],
  ["savepoint", new RegExp(String.raw`^savepoint\s+${NAME}$`, "i")],
  ["release", new RegExp(String.raw`^release\s+(?:savepoint\s+)?${NAME}$`, "i")],
  ["rollback-to", new RegExp(String.raw`^(?:rollback|abort)${WORK}\s+to\s+(?:savepoint\s+)?${NAME}$`, "i")],
];
/** Its modes would be the whole transaction's, which is not the library's. */
const SET_TRANSACTION =
  /^(?:\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*set\s+(?:(?:local|session)\s+)?(?:transaction|characteristics)\b/i;

/** Undefined for whatever is not about transactions. */
export function readControl(text: string): Control | undefined {
  if (judge(text) !== "control") return SET_TRANSACTION.test(text) ? { kind: "refused" } : undefined;
  const trimmed = text.trim().replace(/(?:\s*;)+$/, "");
  for (const [kind, form] of FORMS) {
    const match = form.exec(trimmed);
    if (match === null) continue;
    const name = match[1];
    if (name === undefined) return { kind } as Control;
    return { kind, name: name.startsWith('"') ? name : `"${name.toLowerCase()}"` };
  }
  return { kind: "refused" };
}
