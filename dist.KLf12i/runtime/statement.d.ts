/**
 * `control`: would end or split the transaction: refused.
 * `leaks`: changes state that outlives a savepoint (settings, roles, advisory locks, temporary tables) and would reach
 * a neighbour in the group: its handler runs alone.
 */
export declare function judge(text: string): "contained" | "leaks" | "control";
