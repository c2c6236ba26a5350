import { backoffMs } from "../core/backoff.js";
import { fault, isFault, RetryError, TerminalError } from "../core/errors.js";
import { HandlerTx, RunAgainAlone } from "./handler-tx.js";
import { describe } from "./describe.js";
import { Steps } from "./steps.js";
/**
 * One run of one handler: run, then settle. `run()` resolves when the handler is done with, so that the next one may
 * start; `ended` resolves when its transaction is.
 */
export class Execution {
    claimed;
    consumer;
    ended;
    #host;
    #tx;
    #steps;
    #reruns;
    #began;
    #resolveEnded;
    #controller;
    #abortReason;
    #onAbort;
    constructor(host, consumer, lanes, claimed, alone, reruns) {
        this.#host = host;
        this.consumer = consumer;
        this.claimed = claimed;
        this.#reruns = reruns;
        this.#began = host.clock.monotonic();
        this.ended = new Promise((resolve) => (this.#resolveEnded = resolve));
        this.#tx = new HandlerTx(lanes, claimed, consumer, alone || claimed.alone, host);
        this.#steps = new Steps(host, claimed, consumer.name, this.#tx, () => this.#signal());
    }
    /** Timeout, lost lease or shutdown: the handler is told, its transaction is taken away, and half of it never commits. */
    abort(reason) {
        if (this.#abortReason !== undefined)
            return;
        this.#abortReason = reason;
        this.#controller?.abort(reason);
        this.#onAbort?.(reason);
    }
    /** `onHandled` is called as soon as the handler has returned, before its transaction goes on to the next one. */
    async run(onHandled) {
        let failure;
        let failed = false;
        const cancelTimer = this.#host.clock.after(this.consumer.timeoutMs, () => this.abort(fault("NT_TIMEOUT", { got: `a handler still running after ${this.consumer.timeoutMs} ms` })));
        try {
            await Promise.race([
                this.#handle(),
                new Promise((_, reject) => {
                    if (this.#abortReason !== undefined)
                        reject(this.#abortReason);
                    this.#onAbort = reject;
                }),
            ]);
            // A handler that swallowed what happened to it does not pass for a success.
            if (this.#abortReason !== undefined)
                throw this.#abortReason;
            this.#tx.checkUsable();
            this.#steps.check();
        }
        catch (error) {
            failed = true;
            failure = this.#abortReason ?? error;
        }
        cancelTimer();
        onHandled();
        void this.#finish(failed, failure).then(this.#resolveEnded, (error) => {
            this.#host.logger.error({ error, deliveryId: this.claimed.deliveryId }, "execution left to the claim loop");
            this.#resolveEnded({ kind: "left" });
        });
    }
    async #handle() {
        const { claimed, consumer } = this;
        const { body, ...rest } = claimed.message;
        const message = { ...rest, bytes: body };
        const tx = this.#tx;
        const signal = () => this.#signal();
        const { logger } = this.#host;
        const context = {
            message,
            consumer: consumer.name,
            deliveryId: claimed.deliveryId,
            attempt: claimed.attempt,
            tx,
            step: this.#steps,
            send: (topic, payload, options) => tx.send(topic, payload, options),
            get signal() {
                return signal();
            },
            log: logger,
        };
        await consumer.handler(parse(body), context);
    }
    async #finish(failed, failure) {
        const turn = this.#tx.turn;
        const again = failure instanceof RunAgainAlone || this.#tx.mustRunAgain;
        const ranMs = this.#ranMs();
        if (turn !== undefined)
            turn.figures = () => ({ ranMs, reruns: this.#reruns });
        this.#tx.revoke();
        turn?.end(again ? "again" : failed ? "undo" : "keep");
        if (turn !== undefined) {
            const end = await turn.settled;
            if (end.kind === "committed")
                return { kind: "settled-in-tx" };
            if (end.kind === "again")
                return { kind: "again", claim: end.claim };
            if (end.kind === "superseded")
                return { kind: "superseded", settlement: this.#settlement("interrupted") };
            if (end.kind === "unknown")
                return { kind: "left" };
        }
        if (!failed)
            return { kind: "settle", settlement: this.#settlement("completed") };
        if (isFault(failure, "NT_CLAIM_LOST")) {
            return { kind: "superseded", settlement: this.#settlement("interrupted", failure) };
        }
        return { kind: "settle", settlement: this.#failed(failure) };
    }
    #failed(failure) {
        const { claimed, consumer } = this;
        if (isFault(failure, "NT_SHUTDOWN"))
            return this.#settlement("interrupted", failure);
        const terminal = failure instanceof TerminalError || (isFault(failure) && !failure.canRetry);
        if (terminal || claimed.attempt >= consumer.retry.maxAttempts)
            return this.#settlement("dead", failure);
        const delayMs = failure instanceof RetryError
            ? failure.afterMs
            : backoffMs(consumer.retry, claimed.attempt, this.#host.random.fraction());
        return { ...this.#settlement("retry", failure), delayMs };
    }
    #settlement(outcome, failure) {
        const { deliveryId, messageId, claim } = this.claimed;
        const settlement = { deliveryId, messageId, claim, outcome, ranMs: this.#ranMs(), reruns: this.#reruns };
        return failure === undefined ? settlement : { ...settlement, error: describe(failure) };
    }
    #ranMs() {
        return this.#host.clock.monotonic() - this.#began;
    }
    #signal() {
        if (this.#controller === undefined) {
            this.#controller = new AbortController();
            if (this.#abortReason !== undefined)
                this.#controller.abort(this.#abortReason);
        }
        return this.#controller.signal;
    }
}
/** The parsed body, or something that throws a terminal error when it is read: the handler still has `message.bytes`. */
function parse(body) {
    try {
        return JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8"));
    }
    catch (cause) {
        const refuse = () => {
            throw fault("NT_BODY_NOT_JSON", { got: cause instanceof Error ? cause.message : String(cause), cause });
        };
        return new Proxy({}, { get: refuse, has: refuse, ownKeys: refuse, getOwnPropertyDescriptor: refuse });
    }
}
//# sourceMappingURL=execution.js.map