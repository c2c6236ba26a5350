import type { Store } from "../../core/ports/store.ts";

/** What the reading side needs of a store. */
export type Reader = Pick<Store, "query">;
