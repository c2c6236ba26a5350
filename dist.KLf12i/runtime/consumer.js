import { retryPolicy } from "../core/backoff.js";
import { defaults } from "../core/defaults.js";
import { checkOptions, fault } from "../core/errors.js";
import { checkName, OWN, topicLike } from "../core/topic.js";
const OPTIONS = ["consumer", "timeoutMs", "concurrency", "retry", "group"];
export function consumer(source, topic, options, handler) {
    checkOptions("on()", options, OPTIONS);
    if (typeof handler !== "function") {
        throw fault("NT_OPTION", { expected: `a handler function for \`${topic}\``, got: typeof handler });
    }
    const name = options.consumer ?? (source === OWN ? topic : `${source}/${topic}`);
    return {
        name: checkName("consumer name", name),
        source,
        topic,
        topicLike: topicLike(topic),
        handler: handler,
        timeoutMs: bounded("timeoutMs", options.timeoutMs ?? defaults.timeoutMs, 1, 86_400_000),
        concurrency: bounded("concurrency", options.concurrency ?? defaults.concurrency, 1, 1_000),
        retry: retryPolicy(options.retry),
        group: options.group ?? true,
    };
}
function bounded(name, value, least, most) {
    if (Number.isInteger(value) && value >= least && value <= most)
        return value;
    throw fault("NT_OPTION", { expected: `${name} as a whole number from ${least} to ${most}`, got: String(value) });
}
//# sourceMappingURL=consumer.js.map