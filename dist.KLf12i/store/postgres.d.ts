import type { Logger } from "../core/ports/logger.ts";
import type { Acceptance, Arrival, Claim, Claimed, ConsumerDeclaration, Durability, QueryResult, Settlement, StepBegun, Store, Transaction, TransactionLimits, Want } from "../core/ports/store.ts";
import type { PoolLike } from "./driver.ts";
import { type Resolution } from "./settle.ts";
/** The store on PostgreSQL 14 to 18, through any pool of the shape of `pg.Pool`. */
export declare class PostgresStore implements Store {
    #private;
    readonly singleConnection: boolean;
    constructor(pool: PoolLike, options: {
        schema: string;
        logger: Logger;
        /** Handlers' statements are prepared by name. Not behind a transaction pooler. @default false */
        preparedStatements?: boolean;
        singleConnection?: boolean;
        onClose?: () => Promise<void>;
    });
    inspect(): Promise<Durability>;
    migrate(mode: "auto" | "check"): Promise<void>;
    declare(consumers: readonly ConsumerDeclaration[]): Promise<void>;
    accept(arrivals: readonly Arrival[]): Promise<readonly Acceptance[]>;
    claim(wants: readonly Want[], leaseMs: number): Promise<readonly Claimed[]>;
    takeOver(consumers: readonly string[], leaseMs: number, worker: string): Promise<Claimed | undefined>;
    renew(claims: readonly Claim[], leaseMs: number): Promise<readonly Claim[]>;
    settle(settlements: readonly Settlement[], worker: string): Promise<ReadonlySet<string>>;
    recordSuperseded(settlements: readonly Settlement[], worker: string): Promise<void>;
    begin(limits: TransactionLimits, worker: string): Promise<Transaction>;
    resolve(claims: readonly Claim[], leaseMs: number): Promise<Resolution>;
    beginStep(one: Claim, name: string, idempotencyKey: string): Promise<StepBegun>;
    finishStep(one: Claim, name: string, outcome: {
        result: string;
    } | {
        error: string;
    }): Promise<boolean>;
    nextDueMs(consumers: readonly string[]): Promise<number | undefined>;
    hint(): Promise<void>;
    listen(onHint: () => void): Promise<() => Promise<void>>;
    countRefusals(counts: readonly {
        source: string;
        reason: string;
        refused: number;
    }[]): Promise<void>;
    tidy(options: {
        dedupeDays: number;
        retainDays: number;
    }): Promise<void>;
    query<Row = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<QueryResult<Row>>;
    close(): Promise<void>;
}
