/** A secret that never prints: not in logs, not in JSON, not in an error's text, not in the debugger's inspect. */
declare const inspect: unique symbol;
export declare class Secret {
    #private;
    constructor(value: string);
    reveal(): string;
    toString(): string;
    toJSON(): string;
    [inspect](): string;
}
/**
 * What an option that holds a secret accepts: a value, several for rotation (each is tried), or a function
 * read at first use, so that importing a module reads no environment.
 */
export type SecretOption = SecretValue | readonly SecretValue[] | (() => SecretValue | readonly SecretValue[] | undefined) | undefined;
type SecretValue = string | Secret;
/** Reads the option now. An empty list means that none is set. */
export declare function readSecrets(option: SecretOption): readonly Secret[];
export {};
