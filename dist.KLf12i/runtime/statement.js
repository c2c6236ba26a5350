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
export function judge(text) {
    const word = FIRST_WORD.exec(text)?.[1]?.toLowerCase();
    if (word === undefined)
        return "leaks";
    if (CONTROL.has(word))
        return "control";
    return CONTAINED.has(word) && !LEAKS.test(text) ? "contained" : "leaks";
}
//# sourceMappingURL=statement.js.map