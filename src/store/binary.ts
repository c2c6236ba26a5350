/**
 * Arrays in PostgreSQL's binary format. A batch travels as a dozen arrays; as text each body would be written in hex,
 * twice its size, and parsed again. `pg` sends a Buffer as a binary parameter; the statement casts it (`$1::bytea[]`).
 *
 * Source: array_recv in PostgreSQL's arrayfuncs.c: dimensions, null flag, element type, length, lower bound, then each
 * element with its length, -1 for null.
 */
const OID = { bool: 16, bytea: 17, int8: 20, text: 25, float8: 701, uuid: 2950 } as const;

/** The array's head; elements follow at the returned place. */
function begin(buffer: Buffer, oid: number, count: number, nulls: boolean): number {
  buffer.writeInt32BE(1, 0);
  buffer.writeInt32BE(nulls ? 1 : 0, 4);
  buffer.writeInt32BE(oid, 8);
  buffer.writeInt32BE(count, 12);
  return buffer.writeInt32BE(1, 16);
}

/** An array of elements of one width; `write` puts one at its place. */
function fixed<Value>(
  oid: number,
  width: number,
  values: readonly (Value | null | undefined)[],
  write: (buffer: Buffer, value: Value, at: number) => void,
): Buffer {
  const buffer = Buffer.allocUnsafe(20 + values.length * (4 + width));
  let at = begin(buffer, oid, values.length, values.includes(null) || values.includes(undefined));
  for (const value of values) {
    if (value === null || value === undefined) {
      at = buffer.writeInt32BE(-1, at);
      continue;
    }
    at = buffer.writeInt32BE(width, at);
    write(buffer, value, at);
    at += width;
  }
  return buffer.subarray(0, at);
}

/** An array of elements that bring their own width. */
function varying<Value>(
  oid: number,
  values: readonly (Value | null | undefined)[],
  width: (value: Value) => number,
  write: (buffer: Buffer, value: Value, at: number) => void,
): Buffer {
  let size = 20;
  for (const value of values) size += 4 + (value === null || value === undefined ? 0 : width(value));
  const buffer = Buffer.allocUnsafe(size);
  let at = begin(buffer, oid, values.length, values.includes(null) || values.includes(undefined));
  for (const value of values) {
    if (value === null || value === undefined) {
      at = buffer.writeInt32BE(-1, at);
      continue;
    }
    const length = width(value);
    at = buffer.writeInt32BE(length, at);
    write(buffer, value, at);
    at += length;
  }
  return buffer;
}

export function byteas(values: readonly (Uint8Array | null)[]): Buffer {
  return varying(
    OID.bytea,
    values,
    (value) => value.length,
    (buffer, value, at) => buffer.set(value, at),
  );
}

export function texts(values: readonly (string | null | undefined)[]): Buffer {
  return varying(OID.text, values, Buffer.byteLength, (buffer, value, at) => buffer.write(value, at));
}

/** Uuids as text, with or without hyphens. */
export function uuids(values: readonly (string | null | undefined)[]): Buffer {
  return fixed(OID.uuid, 16, values, (buffer, value: string, at) =>
    buffer.write(value.length === 32 ? value : value.replaceAll("-", ""), at, "hex"),
  );
}

export function booleans(values: readonly boolean[]): Buffer {
  return fixed(OID.bool, 1, values, (buffer, value: boolean, at) => buffer.writeUInt8(value ? 1 : 0, at));
}

/** 64-bit integers as decimal text. */
export function bigints(values: readonly string[]): Buffer {
  return fixed(OID.int8, 8, values, (buffer, value: string, at) => buffer.writeBigInt64BE(BigInt(value), at));
}

export function floats(values: readonly (number | null | undefined)[]): Buffer {
  return fixed(OID.float8, 8, values, (buffer, value: number, at) => buffer.writeDoubleBE(value, at));
}
