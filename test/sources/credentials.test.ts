import { describe, expect, test } from "vitest";
import { basic, bearer, none } from "../../src/sources/credentials.ts";
import { incoming, sourceConformance } from "../conformance/source.ts";

const key = { header: "x-id" } as const;
const named = (id: string): string => id.replaceAll(/[^ -~]/g, "_");

sourceConformance({
  name: "basic",
  secrets: ["ann:first", "ann:second"],
  open: (secret) => basic({ secret, key }),
  sign: (body, secret, id) => ({
    headers: { authorization: `Basic ${Buffer.from(secret).toString("base64")}`, "x-id": named(id) },
    body,
  }),
  body: () => Buffer.from("{}"),
  headers: { proof: "authorization", id: "x-id" },
  signed: false,
});

sourceConformance({
  name: "bearer",
  secrets: ["token-one", "token-two"],
  open: (secret) => bearer({ secret, key }),
  sign: (body, secret, id) => ({ headers: { authorization: `Bearer ${secret}`, "x-id": named(id) }, body }),
  body: () => Buffer.from("{}"),
  headers: { proof: "authorization", id: "x-id" },
  signed: false,
});

describe("none", () => {
  test("must be asked for by name", () => {
    expect(() => none({ key } as never)).toThrow("acceptAnybody");
    const source = none({ acceptAnybody: true, key, topic: "ping" });
    expect(source.verify(incoming({ headers: { "x-id": "1" }, body: new Uint8Array(0) }))).toEqual({
      ok: true,
      key: "1",
      topic: "ping",
    });
    expect(source.proves).toBe("nothing");
  });

  test("a conflict cannot be the sender's own word, so it is answered 409", () => {
    expect(none({ acceptAnybody: true, key }).conflictStatus).toBe(409);
    expect(bearer({ secret: "t", key }).conflictStatus).toBe(409);
  });
});
