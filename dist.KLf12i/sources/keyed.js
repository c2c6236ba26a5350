import { createHash } from "node:crypto";
import { fault } from "../core/errors.js";
import { scalarAt } from "./json-text.js";
import { printable, refuse, single } from "./signature.js";
/** Key and topic of a request whose sender has been proved as far as the source can. */
export function keyed(incoming, options, provider) {
    let key;
    if (options.key === "body-hash")
        key = createHash("sha256").update(incoming.body).digest("hex");
    else {
        const found = lookUp(incoming, options.key);
        if ("refused" in found)
            return { ...found.refused, status: 400 };
        key = found.value;
    }
    if (!printable(key))
        return refuse("missing-id", "The message has no usable id.", 400);
    if (options.topic === undefined || typeof options.topic === "string") {
        return { ok: true, key, topic: options.topic ?? provider };
    }
    const topic = lookUp(incoming, options.topic);
    if ("refused" in topic)
        return { ...topic.refused, status: 400 };
    if (!printable(topic.value))
        return refuse("missing-topic", "The message has no usable topic.", 400);
    return { ok: true, key, topic: topic.value };
}
function lookUp(incoming, place) {
    if ("header" in place)
        return single(incoming, place.header.toLowerCase());
    return { value: scalarAt(incoming.body, pointerPath(place.pointer)) };
}
/** RFC 6901, for members of objects. */
function pointerPath(pointer) {
    if (!pointer.startsWith("/")) {
        throw fault("NT_OPTION", { expected: "a JSON Pointer such as `/data/id`", got: `\`${pointer}\`` });
    }
    return pointer.slice(1).split("/").map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}
//# sourceMappingURL=keyed.js.map