/**
 * Every default in one table. docs/guarantees.md shows the same numbers; `test/tidy.test.ts` compares them.
 */
export const defaults = {
  /** How long a claimed delivery belongs to its worker without a renewal. */
  leaseMs: 10_000,
  /** A third of the lease: two renewals may fail before the lease does. */
  renewMs: 3_000,
  timeoutMs: 60_000,
  maxAttempts: 20,
  backoffBaseMs: 1_000,
  backoffFactor: 2,
  backoffMaxMs: 3_600_000,
  /** Handlers of one consumer that run at the same time in one process. */
  concurrency: 10,
  /** Members of a batch at most, and batches of one consumer at the same time. */
  batchSize: 100,
  batchConcurrency: 2,
  /** Keys are remembered at least this long. Stripe retries for 3 days, a mail provider was seen to for 29 hours. */
  dedupeDays: 45,
  /** Messages and their history are kept at least this long; at least as long as their keys. */
  retainDays: 45,
  bodyLimitBytes: 1_048_576,
  /** A refusal flood costs one row per source and reason in this time. */
  refusalFlushMs: 10_000,
  /** How often messages came again is written together. */
  copyFlushMs: 1_000,
  /** Polling is the truth: at most this far apart while anything is outstanding. */
  pollMs: 5_000,
  /** When nothing is outstanding, polls back off to this, so that a serverless database can sleep. */
  idlePollMs: 60_000,
  /** From the 65th writing savepoint a backend's snapshots overflow and slow every session. */
  groupMax: 60,
  /**
   * Far below PostgreSQL's deadlock_timeout of 1 s: a waiter leaves the group instead of holding it. Most waits that last at
   * all are circles of small groups, so longer ones are lost time: 5 ms did 3,800 jobs/s on 100 hot rows, 20 ms 2,500.
   */
  groupLockTimeoutMs: 5,
  /** For an execution that runs alone. */
  lockTimeoutMs: 5_000,
  /** A key held by somebody's open transaction must not hold up a batch of strangers. */
  acceptLockTimeoutMs: 200,
  /** Requests that share one accepting statement. Measured from 32 to 500: hardly matters. */
  acceptBatch: 256,
  /** So many go out before all that came at the same time has been read. Measured at 16 and 32: the larger is a tenth slower. */
  acceptEnough: 16,
  /** Accepting statements under way at the same time, on one connection. */
  acceptFlushes: 2,
  /** Past this a COMMIT is unknown: statement_timeout does not bound it. */
  commitTimeoutMs: 10_000,
  /** Past this a statement of ours is given up and its connection destroyed: a peer may vanish without a word. */
  statementDeadlineMs: 10_000,
  /** For statements of the reading side, which may walk all that is kept. */
  readDeadlineMs: 600_000,
  stopDeadlineMs: 20_000,
  /** Of a step and of a job. */
  resultBytes: 1_048_576,
  /** Between two notes of a handler's progress without words. */
  progressMs: 1_000,
  /** How often it is asked whether a job has ended: from, growing to. */
  outcomePollMs: 10,
  outcomePollMostMs: 500,
  /** A delivery whose step is paused looks again within this time: so soon after a confirmation everything goes on. */
  pausedStepMs: 30_000,
  /**
   * A delivery that waits for its children is looked at so often, should nobody have told that they have ended, and a worker looks
   * for such this often: half a minute together, with what a worker sleeps.
   */
  childrenLookMs: 20_000,
  childrenPollMs: 5_000,
  /** Children of one group at most, and what their results are together: more than that no handler should hold at once. */
  childrenMost: 10_000,
  childrenResultBytes: 67_108_864,
  /** A slot of a schedule that is decided later than this was missed. As long as a deploy, or a failover, may take. */
  scheduleGraceMs: 300_000,
  /** So many slots at most are made up for at once, the latest ones; the log tells how many were left out. */
  missedSlots: 1_000,
  schema: "nevertwice",
} as const;
