/**
 * Arrays in PostgreSQL's binary format. A batch travels as a dozen arrays; as text each body would be written in hex,
 * twice its size, and parsed again. `pg` sends a Buffer as a binary parameter; the statement casts it (`$1::bytea[]`).
 *
 * Source: array_recv in PostgreSQL's arrayfuncs.c: dimensions, null flag, element type, length, lower bound, then each
 * element with its length, -1 for null.
 */
const OID = { bool: 16, bytea: 17, int8: 20, text: 25, float8: 701, uuid: 2950 } as const;

type Element = Uint8Array | null;

function encode(oid: number, elements: readonly Element[]): Buffer {
  let size = 20;
  let nulls = 0;
  for (const element of elements) {
    size += 4 + (element?.length ?? 0);
    if (element === null) nulls = 1;
  }
  const buffer = Buffer.allocUnsafe(size);
  buffer.writeInt32BE(1, 0);
  buffer.writeInt32BE(nulls, 4);
  buffer.writeInt32BE(oid, 8);
  buffer.writeInt32BE(elements.length, 12);
  buffer.writeInt32BE(1, 16);
  let at = 20;
  for (const element of elements) {
    at = buffer.writeInt32BE(element === null ? -1 : element.length, at);
    if (element === null) continue;
    buffer.set(element, at);
    at += element.length;
  }
  return buffer;
}

export function byteas(values: readonly Element[]): Buffer {
  return encode(OID.bytea, values);
}

export function texts(values: readonly (string | null | undefined)[]): Buffer {
  return encode(
    OID.text,
    values.map((value) => (value === null || value === undefined ? null : Buffer.from(value))),
  );
}

/** Uuids as text or as their 16 bytes. */
export function uuids(values: readonly (string | Uint8Array | null | undefined)[]): Buffer {
  return encode(
    OID.uuid,
    values.map((value) =>
      value === null || value === undefined
        ? null
        : typeof value === "string"
          ? Buffer.from(value.replaceAll("-", ""), "hex")
          : value,
    ),
  );
}

export function booleans(values: readonly boolean[]): Buffer {
  return encode(
    OID.bool,
    values.map((value) => Buffer.of(value ? 1 : 0)),
  );
}

/** 64-bit integers as decimal text. */
export function bigints(values: readonly string[]): Buffer {
  return encode(
    OID.int8,
    values.map((value) => {
      const bytes = Buffer.allocUnsafe(8);
      bytes.writeBigInt64BE(BigInt(value));
      return bytes;
    }),
  );
}

export function floats(values: readonly (number | null | undefined)[]): Buffer {
  return encode(
    OID.float8,
    values.map((value) => {
      if (value === null || value === undefined) return null;
      const bytes = Buffer.allocUnsafe(8);
      bytes.writeDoubleBE(value);
      return bytes;
    }),
  );
}
