import { format, inspect } from "node:util";
import fc from "fast-check";
import { pino } from "pino";
import { describe, expect, test } from "vitest";
import { backoffMs, retryPolicy } from "../../src/core/backoff.ts";
import { checkOptions, fault, isFault, RetryError } from "../../src/core/errors.ts";
import { idTimeMs, isUuid, lowestId, uuidv7 } from "../../src/core/id.ts";
import { nearest } from "../../src/core/nearest.ts";
import { readSecrets, Secret } from "../../src/core/secret.ts";
import { checkName, topicLike } from "../../src/core/topic.ts";
import { digest } from "../../src/runtime/arrival.ts";

/** As the command line logs. */
function structuredLog(fields: object): string {
  let line = "";
  const log = pino({ serializers: { error: pino.stdSerializers.err } }, { write: (text) => void (line += text) });
  log.info(fields, "event");
  return line;
}

const policy = fc.record({
  maxAttempts: fc.integer({ min: 1, max: 100 }),
  baseMs: fc.integer({ min: 0, max: 100_000 }),
  factor: fc.double({ min: 1, max: 10, noNaN: true }),
  maxMs: fc.integer({ min: 0, max: 30 * 86_400_000 }),
});
const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe("backoff", () => {
  test("never negative, never beyond maxMs, never NaN, at any attempt", () => {
    fc.assert(
      fc.property(policy, fc.integer({ min: 1, max: 30_000 }), fraction, (given, attempt, random) => {
        const wait = backoffMs(given, attempt, random);
        expect(wait).toBeGreaterThanOrEqual(0);
        expect(wait).toBeLessThanOrEqual(given.maxMs);
      }),
    );
  });

  test("the bound doubles from a second up to an hour, and the wait is anywhere below it", () => {
    const bound = (attempt: number) => backoffMs(retryPolicy(), attempt, 1);
    expect([1, 2, 3, 12, 13, 20].map(bound)).toEqual([1_000, 2_000, 4_000, 2_048_000, 3_600_000, 3_600_000]);
    expect(backoffMs(retryPolicy(), 5, 0)).toBe(0);
  });

  test.each([{ maxAttempts: 0 }, { maxAttempts: 1.5 }, { baseMs: -1 }, { maxMs: Number.NaN }, { factor: 0.5 }])(
    "refuses %j",
    (given) => expect(() => retryPolicy(given)).toThrow("NT_OPTION"),
  );
});

describe("ids", () => {
  test("carry their time, sort by it, and are UUIDs of version 7", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** 47 }),
        fc.uint8Array({ minLength: 10, maxLength: 10 }),
        (ms, random) => {
          const id = uuidv7(ms, random);
          expect(isUuid(id)).toBe(true);
          expect(idTimeMs(id)).toBe(ms);
          expect(id[14]).toBe("7");
          expect("89ab").toContain(id[19]);
          expect(id >= lowestId(ms)).toBe(true);
          expect(id < lowestId(ms + 1)).toBe(true);
        },
      ),
    );
  });
});

describe("the digest of a key", () => {
  test("different parts never meet, wherever they are cut", () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { maxLength: 4 }), fc.array(fc.string(), { maxLength: 4 }), (a, b) => {
        const same = a.length === b.length && a.every((part, i) => part === b[i]);
        expect(digest(...a) === digest(...b)).toBe(same);
      }),
    );
    expect(digest("ab", "c")).not.toEqual(digest("a", "bc"));
  });
});

describe("topics", () => {
  test.each([
    ["*", "%"],
    ["invoice.*", "invoice.%"],
    ["invoice.paid", "invoice.paid"],
    ["a_b%c\\d", "a\\_b\\%c\\\\d"],
  ])("%s becomes the LIKE pattern %s", (pattern, like) => expect(topicLike(pattern)).toBe(like));

  test.each(["", "a*", "*.a", "a.*.b", "**"])("%j is no pattern", (pattern) => {
    expect(() => topicLike(pattern)).toThrow("NT_OPTION");
  });

  test.each(["", " ", "a b", "a\nb", "a\u0000", "é", "x".repeat(201), undefined, 1])("%j is no name", (name) => {
    expect(() => checkName("name", name)).toThrow("NT_OPTION");
  });
});

describe("errors", () => {
  test("say what was expected, what was got, and what happens next", () => {
    const error = fault("NT_DATABASE_MISSING", { got: "undefined" });
    expect(isFault(error, "NT_DATABASE_MISSING")).toBe(true);
    expect(error.message).toBe(`NT_DATABASE_MISSING: expected ${error.expected}, got undefined. ${error.next}`);
  });

  test("an unknown option is answered with the nearest one", () => {
    expect(() => checkOptions("on()", { timeoutMS: 1 }, ["timeoutMs", "retry"])).toThrow("Did you mean `timeoutMs`?");
    expect(() => checkOptions("on()", { zebra: 1 }, ["timeoutMs"])).toThrow("Remove it");
    expect(nearest("verfy-books", ["verify-books", "list"])).toBe("verify-books");
    expect(nearest("x", ["verify-books", "list"])).toBeUndefined();
  });

  test("RetryError refuses a wait that is none", () => {
    expect(new RetryError("later", { afterMs: 5 }).afterMs).toBe(5);
    expect(() => new RetryError("later", { afterMs: Number.NaN })).toThrow("NT_OPTION");
  });
});

describe("a secret", () => {
  test("never prints", () => {
    const secret = new Secret("hunter2");
    const shown = [
      String(secret),
      `${secret}`,
      JSON.stringify({ secret }),
      inspect(secret),
      inspect({ a: [secret] }, { depth: 9 }),
      format("%s %o %j", secret, secret, secret),
      structuredLog({ secret, error: new Error("with a cause", { cause: { secret } }) }),
      Object.entries(secret).join(),
    ];
    for (const text of shown) expect(text).not.toContain("hunter2");
    expect(secret.reveal()).toBe("hunter2");
  });

  test("is read when it is asked for, and an empty one is none", () => {
    let value: string | undefined;
    const option = (): string | undefined => value;
    expect(readSecrets(option)).toEqual([]);
    value = "";
    expect(readSecrets(option)).toEqual([]);
    value = "late";
    expect(readSecrets(option).map((secret) => secret.reveal())).toEqual(["late"]);
    expect(readSecrets(["a", new Secret("b")]).map((secret) => secret.reveal())).toEqual(["a", "b"]);
    // During a rotation and after it, `[process.env.NEW, process.env.OLD]` is the same line.
    expect(readSecrets(() => [undefined, "", "old"]).map((secret) => secret.reveal())).toEqual(["old"]);
    expect(readSecrets([undefined])).toEqual([]);
  });
});
