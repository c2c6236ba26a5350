/** A secret that never prints: not in logs, not in JSON, not in an error's text, not in the debugger's inspect. */
const inspect = Symbol.for("nodejs.util.inspect.custom");
export class Secret {
    #value;
    constructor(value) {
        this.#value = value;
    }
    reveal() {
        return this.#value;
    }
    toString() {
        return "[secret]";
    }
    toJSON() {
        return "[secret]";
    }
    [inspect]() {
        return "[secret]";
    }
}
/** Reads the option now. An empty list means that none is set. */
export function readSecrets(option) {
    const given = typeof option === "function" ? option() : option;
    if (given === undefined)
        return [];
    const values = typeof given === "string" || given instanceof Secret ? [given] : given;
    const secrets = [];
    for (const value of values) {
        if (value instanceof Secret)
            secrets.push(value);
        else if (typeof value === "string" && value !== "")
            secrets.push(new Secret(value));
    }
    return secrets;
}
//# sourceMappingURL=secret.js.map