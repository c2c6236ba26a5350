import { defaults } from "../core/defaults.js";
import { fault } from "../core/errors.js";
import { checkName } from "../core/topic.js";
import { digest } from "./arrival.js";
import { describe } from "./describe.js";
/**
 * Outside effects. A fenced *intent* commits before the request leaves, and the result after it came: without the
 * intent, "never left" and "unknown" cannot be told apart. A finished step is never run again. Keys and results belong
 * to (message, consumer, name), so a replay finds them and two consumers never share one.
 */
export class Steps {
    #store;
    #logger;
    #claimed;
    #consumer;
    #tx;
    #signal;
    #names = new Set();
    #superseded = false;
    constructor(host, claimed, consumer, tx, signal) {
        this.#store = host.store;
        this.#logger = host.logger;
        this.#claimed = claimed;
        this.#consumer = consumer;
        this.#tx = tx;
        this.#signal = signal;
    }
    async run(name, effect) {
        checkName("step name", name);
        if (this.#names.has(name))
            throw fault("NT_STEP_TWICE", { got: `\`${name}\` a second time` });
        this.#names.add(name);
        this.#checkTx(name);
        const idempotencyKey = stepKey(this.#claimed.messageId, this.#consumer, name);
        const begun = await this.#store.beginStep(this.#claimed, name, idempotencyKey);
        if (begun.kind === "done")
            return begun.result;
        if (begun.kind === "superseded")
            throw this.#lost(name);
        const signal = this.#signal();
        signal.throwIfAborted();
        let result;
        try {
            result = await effect({ idempotencyKey, signal, tries: begun.tries });
        }
        catch (error) {
            await this.#store.finishStep(this.#claimed, name, { error: describe(error) });
            throw error;
        }
        const recorded = await this.#store.finishStep(this.#claimed, name, { result: serialise(name, result) });
        if (!recorded)
            throw this.#lost(name);
        return result;
    }
    /** A handler that swallowed the loss of its claim must not pass for a success. */
    check() {
        if (this.#superseded)
            throw fault("NT_CLAIM_LOST", { got: "a newer execution" });
    }
    #checkTx(name) {
        if (!this.#tx.open)
            return;
        if (this.#tx.grouped)
            this.#tx.leaveGroups();
        const misuse = fault("NT_STEP_IN_TX", { got: `step \`${name}\` while \`tx\` is open` });
        if (this.#store.singleConnection)
            throw misuse;
        const line = misuse.stack?.split("\n").find((frame) => frame.includes("    at ") && !/steps\.[jt]s/.test(frame));
        this.#logger.warn({ consumer: this.#consumer, step: name, at: line?.trim(), next: misuse.next }, "step while tx is open");
    }
    #lost(name) {
        this.#superseded = true;
        return fault("NT_CLAIM_LOST", { got: `a newer execution, found by step \`${name}\`` });
    }
}
/** The same for every attempt of this message and consumer, replays included. */
function stepKey(messageId, consumer, name) {
    return `nt_${Buffer.from(digest("step", messageId, consumer, name)).toString("hex")}`;
}
function serialise(name, result) {
    let text;
    try {
        text = JSON.stringify(result) ?? "null";
    }
    catch (cause) {
        throw fault("NT_STEP_RESULT", { got: `the result of step \`${name}\`, which JSON cannot hold`, cause });
    }
    if (text.length > defaults.stepResultBytes) {
        throw fault("NT_STEP_RESULT", { got: `${text.length} characters from step \`${name}\`` });
    }
    return text;
}
//# sourceMappingURL=steps.js.map