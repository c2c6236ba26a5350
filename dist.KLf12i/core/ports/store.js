/**
 * The port to the database. One SQL serves every adapter; `test/conformance/store.ts` proves each.
 *
 * Words: a *claim* is the random token of one execution. Every write about a delivery names its claim and is a no-op
 * when the delivery has another; what comes back says which rows were really written.
 */
export {};
//# sourceMappingURL=store.js.map