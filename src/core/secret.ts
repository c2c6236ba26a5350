/** A secret that never prints: not in logs, not in JSON, not in an error's text, not in the debugger's inspect. */
const inspect = Symbol.for("nodejs.util.inspect.custom");

export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return "[secret]";
  }

  toJSON(): string {
    return "[secret]";
  }

  [inspect](): string {
    return "[secret]";
  }
}

/**
 * What an option that holds a secret accepts: a value, several for rotation (each that is set is tried), or a function
 * read at first use, so that importing a module reads no environment.
 */
export type SecretOption =
  | SecretValue
  | readonly (SecretValue | undefined)[]
  | (() => SecretValue | readonly (SecretValue | undefined)[] | undefined)
  | undefined;
type SecretValue = string | Secret;

/** Reads the option now. An empty list means that none is set. */
export function readSecrets(option: SecretOption): readonly Secret[] {
  const given = typeof option === "function" ? option() : option;
  if (given === undefined) return [];
  const values = typeof given === "string" || given instanceof Secret ? [given] : given;
  const secrets: Secret[] = [];
  for (const value of values) {
    if (value instanceof Secret) secrets.push(value);
    else if (typeof value === "string" && value !== "") secrets.push(new Secret(value));
  }
  return secrets;
}
