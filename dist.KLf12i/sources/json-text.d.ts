/**
 * Members of a JSON object, read from the raw text.
 *
 * A key is never taken from a parsed number: 9007199254740993 would become 9007199254740992, and two messages one.
 * The text is first parsed as a whole (so that what is not JSON has no members), then walked once: strings and
 * brackets are all that has to be understood. Linear, without recursion, so that deep nesting costs nothing.
 * Of a member that stands twice the last one counts, as in JSON.parse.
 */
/** The value at a path of member names: a string's content, a number exactly as it stands in the text, else undefined. */
export declare function scalarAt(body: Uint8Array, path: readonly string[]): string | undefined;
/** Several top-level scalars in one walk. */
export declare function scalars(body: Uint8Array, names: readonly string[]): readonly (string | undefined)[];
/** The bytes without some top-level members; as they are when they are no JSON object. */
export declare function without(body: Uint8Array, names: readonly string[]): Uint8Array;
