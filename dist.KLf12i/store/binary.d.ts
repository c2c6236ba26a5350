type Element = Uint8Array | null;
export declare function byteas(values: readonly Element[]): Buffer;
export declare function texts(values: readonly (string | null | undefined)[]): Buffer;
/** Uuids as text or as their 16 bytes. */
export declare function uuids(values: readonly (string | Uint8Array | null | undefined)[]): Buffer;
export declare function booleans(values: readonly boolean[]): Buffer;
/** 64-bit integers as decimal text. */
export declare function bigints(values: readonly string[]): Buffer;
export declare function floats(values: readonly (number | null | undefined)[]): Buffer;
export {};
