import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { scalarAt, scalars, without } from "../../src/sources/json-text.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text, "utf8");
const object = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 8 });
const spaced = fc.constantFrom(undefined, 1, "\t");

describe("members of the raw text", () => {
  test("strings are read as JSON.parse reads them, whatever else the object holds", () => {
    fc.assert(
      fc.property(object, spaced, (value, indent) => {
        const body = bytes(JSON.stringify(value, null, indent));
        const parsed = JSON.parse(Buffer.from(body).toString()) as Record<string, unknown>;
        for (const name of Object.keys(parsed)) {
          const expected = parsed[name];
          const found = scalarAt(body, [name]);
          if (typeof expected === "string") expect(found).toBe(expected);
          else if (typeof expected === "number") expect(Number(found)).toBe(expected);
          else expect(found).toBeUndefined();
        }
      }),
    );
  });

  test("a number keeps every digit it came with", () => {
    fc.assert(
      fc.property(fc.bigInt(), (id) => {
        expect(scalars(bytes(`{"a":[1,{"id":0}],"id": ${id} }`), ["id"])).toEqual([String(id)]);
      }),
    );
  });

  test("without() leaves a body that parses to the same, less the members", () => {
    fc.assert(
      fc.property(object, fc.string(), (value, name) => {
        const parsed = JSON.parse(JSON.stringify(value)) as Record<string, unknown>;
        const left = Buffer.from(without(bytes(JSON.stringify(value)), [name])).toString();
        if (!Object.hasOwn(parsed, name)) {
          expect(left).toBe(JSON.stringify(value));
          return;
        }
        delete parsed[name];
        expect(JSON.parse(`{${left}}`)).toEqual(parsed);
      }),
    );
  });

  test("any bytes give an answer: what is not a JSON object has no members", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (body) => {
        scalars(body, ["id"]);
        expect(without(body, ["id"]).length).toBeLessThanOrEqual(body.length);
      }),
    );
    for (const text of ["", "null", "[]", '"id"', '{"id":1', '{"id":1}}', "{'id':1}"]) {
      expect(scalars(bytes(text), ["id"]), text).toEqual([undefined]);
    }
  });

  test("of a member that stands twice the last one counts, as for every reader after us", () => {
    expect(scalars(bytes('{"id":"a","id":"b"}'), ["id"])).toEqual(["b"]);
    expect(scalars(bytes('{"\\u0069d":"escaped"}'), ["id"])).toEqual(["escaped"]);
  });

  test("nesting of a hundred thousand levels costs no stack", () => {
    const deep = `{"id":"x","a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
    expect(scalars(bytes(deep), ["id"]).length).toBe(1);
  });
});
