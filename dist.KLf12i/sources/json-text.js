/**
 * Members of a JSON object, read from the raw text.
 *
 * A key is never taken from a parsed number: 9007199254740993 would become 9007199254740992, and two messages one.
 * The text is first parsed as a whole (so that what is not JSON has no members), then walked once: strings and
 * brackets are all that has to be understood. Linear, without recursion, so that deep nesting costs nothing.
 * Of a member that stands twice the last one counts, as in JSON.parse.
 */
/** The top-level members, or undefined when the bytes are not a JSON object in UTF-8. */
function members(text) {
    let at = skip(text, 0);
    if (text[at] !== "{")
        return undefined;
    try {
        JSON.parse(text);
    }
    catch {
        return undefined;
    }
    const found = [];
    at = skip(text, at + 1);
    while (text[at] === '"') {
        const from = at;
        const nameEnd = stringEnd(text, at);
        const name = JSON.parse(text.slice(at, nameEnd));
        const valueFrom = skip(text, skip(text, nameEnd) + 1);
        const to = valueEnd(text, valueFrom);
        found.push({ name, from, valueFrom, to });
        at = skip(text, to);
        if (text[at] === ",")
            at = skip(text, at + 1);
    }
    return found;
}
function skip(text, at) {
    while (at < text.length && " \t\r\n".includes(text[at]))
        at++;
    return at;
}
function stringEnd(text, at) {
    for (at++; text[at] !== '"'; at++)
        if (text[at] === "\\")
            at++;
    return at + 1;
}
function valueEnd(text, at) {
    let depth = 0;
    for (; at < text.length; at++) {
        const character = text[at];
        if (character === '"')
            at = stringEnd(text, at) - 1;
        else if (character === "{" || character === "[")
            depth++;
        else if (character === "}" || character === "]") {
            if (depth === 0)
                return at;
            depth--;
            if (depth === 0)
                return at + 1;
        }
        else if (character === "," && depth === 0)
            return at;
    }
    return at;
}
function decoded(body) {
    try {
        return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body);
    }
    catch {
        return undefined;
    }
}
/** The value at a path of member names: a string's content, a number exactly as it stands in the text, else undefined. */
export function scalarAt(body, path) {
    let text = decoded(body);
    for (const name of path) {
        if (text === undefined)
            return undefined;
        const member = members(text)?.findLast((one) => one.name === name);
        text = member === undefined ? undefined : text.slice(member.valueFrom, member.to).trim();
    }
    if (text === undefined)
        return undefined;
    if (text.startsWith('"'))
        return JSON.parse(text);
    return /^-?\d/.test(text) ? text : undefined;
}
/** Several top-level scalars in one walk. */
export function scalars(body, names) {
    const text = decoded(body);
    const found = text === undefined ? undefined : members(text);
    return names.map((name) => {
        const member = found?.findLast((one) => one.name === name);
        if (text === undefined || member === undefined)
            return undefined;
        const value = text.slice(member.valueFrom, member.to).trim();
        if (value.startsWith('"'))
            return JSON.parse(value);
        return /^-?\d/.test(value) ? value : undefined;
    });
}
/** The bytes without some top-level members; as they are when they are no JSON object. */
export function without(body, names) {
    const text = decoded(body);
    const found = text === undefined ? undefined : members(text);
    if (text === undefined || found === undefined)
        return body;
    const kept = found.filter((member) => !names.includes(member.name));
    if (kept.length === found.length)
        return body;
    return Buffer.from(kept.map((member) => text.slice(member.from, member.to)).join(","));
}
//# sourceMappingURL=json-text.js.map