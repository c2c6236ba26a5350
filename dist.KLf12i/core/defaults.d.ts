/**
 * Every default in one table. docs/guarantees.md shows the same numbers; `test/tidy.test.ts` compares them.
 */
export declare const defaults: {
    /** How long a claimed delivery belongs to its worker without a renewal. */
    readonly leaseMs: 10000;
    /** A third of the lease: two renewals may fail before the lease does. */
    readonly renewMs: 3000;
    readonly timeoutMs: 60000;
    readonly maxAttempts: 20;
    readonly backoffBaseMs: 1000;
    readonly backoffFactor: 2;
    readonly backoffMaxMs: 3600000;
    /** Handlers of one consumer that run at the same time in one process. */
    readonly concurrency: 10;
    /** Keys are remembered at least this long. Stripe retries for 3 days, a mail provider was seen to for 29 hours. */
    readonly dedupeDays: 45;
    /** Messages and their history are kept at least this long; at least as long as their keys. */
    readonly retainDays: 45;
    readonly bodyLimitBytes: 1048576;
    /** A refusal flood costs one row per source and reason in this time. */
    readonly refusalFlushMs: 10000;
    /** Polling is the truth: at most this far apart while anything is outstanding. */
    readonly pollMs: 5000;
    /** When nothing is outstanding, polls back off to this, so that a serverless database can sleep. */
    readonly idlePollMs: 60000;
    /** From the 65th writing savepoint a backend's snapshots overflow and slow every session. */
    readonly groupMax: 60;
    /**
     * Far below PostgreSQL's deadlock_timeout of 1 s: a waiter leaves the group instead of holding it. Most waits that last at
     * all are circles of small groups, so longer ones are lost time: 5 ms did 3,800 jobs/s on 100 hot rows, 20 ms 2,500.
     */
    readonly groupLockTimeoutMs: 5;
    /** For an execution that runs alone. */
    readonly lockTimeoutMs: 5000;
    /** A key held by somebody's open transaction must not hold up a batch of strangers. */
    readonly acceptLockTimeoutMs: 200;
    /** Requests that share one accepting statement. Measured from 32 to 500: hardly matters. */
    readonly acceptBatch: 256;
    readonly acceptConnections: 2;
    /** Past this a COMMIT is unknown: statement_timeout does not bound it. */
    readonly commitTimeoutMs: 10000;
    readonly stopDeadlineMs: 20000;
    readonly stepResultBytes: 1048576;
    readonly schema: "nevertwice";
};
