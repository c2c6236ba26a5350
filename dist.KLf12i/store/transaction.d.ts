import type { Transaction, TransactionLimits } from "../core/ports/store.ts";
import { type Connections } from "./connections.ts";
export declare function begin(connections: Connections, limits: TransactionLimits, worker: string): Promise<Transaction>;
