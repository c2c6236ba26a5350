/** The public surface of `nevertwice`. Nothing else re-exports. */
import { Runtime } from "./runtime/nevertwice.js";
import { openStore } from "./store/open.js";
export { NevertwiceError, RetryError, TerminalError } from "./core/errors.js";
export { Secret } from "./core/secret.js";
/** See {@link Runtime}: the same, with PostgreSQL underneath. */
export class Nevertwice extends Runtime {
    constructor(options) {
        super(options, openStore);
    }
}
//# sourceMappingURL=index.js.map