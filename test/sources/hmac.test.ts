import { createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import { hmac } from "../../src/sources/hmac.ts";
import { incoming, NOW_MS, sourceConformance } from "../conformance/source.ts";

const SECRETS = ["first secret", "second secret"] as const;

sourceConformance({
  name: "hmac with a timestamp and an id in a header",
  secrets: SECRETS,
  open: (secret) =>
    hmac({
      secret,
      header: "X-Signature",
      encoding: "base64",
      timestamp: { header: "X-Time", separator: ":" },
      key: { header: "X-Id" },
    }),
  sign(body, secret, id, nowMs) {
    const time = String(Math.floor(nowMs / 1_000));
    const signature = createHmac("sha256", secret).update(`${time}:`).update(body).digest("base64");
    return { headers: { "x-signature": signature, "x-time": time, "x-id": id.replaceAll(/[^ -~]/g, "_") }, body };
  },
  body: () => Buffer.from('{"a":1}'),
  headers: { proof: "x-signature", id: "x-id", time: "x-time" },
  signed: true,
});

describe("hmac", () => {
  test.each([
    ["sha1", "hex", "sha1="],
    ["sha256", "hex", "sha256="],
    ["sha512", "base64url", ""],
  ] as const)("%s in %s with the prefix %j, key and topic from the body", (algorithm, encoding, prefix) => {
    const source = hmac({
      secret: SECRETS[0],
      header: "x-sig",
      algorithm,
      encoding,
      prefix,
      key: { pointer: "/meta/id" },
      topic: { pointer: "/meta/a~1b" },
    });
    const body = Buffer.from('{"meta":{"id":9007199254740993,"a/b":"created"}}');
    const signature = prefix + createHmac(algorithm, SECRETS[0]).update(body).digest(encoding);
    const verdict = source.verify(incoming({ headers: { "x-sig": signature }, body }));
    expect(verdict).toEqual({ ok: true, key: "9007199254740993", topic: "created" });
    if (prefix === "") return;
    const bare = signature.slice(prefix.length);
    expect(source.verify(incoming({ headers: { "x-sig": bare }, body }))).toMatchObject({ reason: "bad-signature" });
  });

  test("a body hash as key: equal bodies are one message, by choice", () => {
    const source = hmac({ secret: SECRETS[0], header: "x-sig", key: "body-hash", topic: "fixed" });
    const key = (text: string) => {
      const body = Buffer.from(text);
      const headers = { "x-sig": createHmac("sha256", SECRETS[0]).update(body).digest("hex") };
      const verdict = source.verify(incoming({ headers, body }, NOW_MS));
      return verdict.ok ? verdict.key : verdict.reason;
    };
    expect(key("a")).toBe(key("a"));
    expect(key("a")).not.toBe(key("b"));
  });

  test("a message without an id is refused with 400", () => {
    const source = hmac({ secret: SECRETS[0], header: "x-sig", key: { header: "x-id" } });
    const headers = { "x-sig": createHmac("sha256", SECRETS[0]).update("").digest("hex") };
    expect(source.verify(incoming({ headers, body: new Uint8Array(0) }))).toMatchObject({
      status: 400,
      reason: "missing-id",
    });
  });

  test("an option that is not there is named, with the one that was meant", () => {
    expect(() => hmac({ secret: "x", header: "y", key: "body-hash", algoritm: "sha1" } as never)).toThrow(
      "Did you mean `algorithm`?",
    );
  });
});
