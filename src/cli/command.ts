/** One flag of a command. */
export interface Flag {
  readonly type: "string" | "boolean";
  readonly short?: string;
  /** What stands for the value in the help text. */
  readonly value?: string;
  readonly about: string;
}

export type Flags = Readonly<Record<string, Flag>>;

/** What was given on the command line: strings and switches by name. */
export interface Given {
  readonly words: readonly string[];
  readonly flags: Readonly<Record<string, string | boolean | undefined>>;
}

export interface Command {
  readonly name: string;
  readonly usage: string;
  readonly about: string;
  readonly flags: Flags;
  /** The least and the greatest number of words after the name. */
  readonly words: readonly [number, number];
  /** The exit code. */
  run(given: Given): Promise<number>;
}

export function text(given: Given, flag: string): string | undefined {
  const value = given.flags[flag];
  return typeof value === "string" ? value : undefined;
}

export function isSet(given: Given, flag: string): boolean {
  return given.flags[flag] === true;
}
