import { describe, expect, test } from "vitest";
import type { Incoming, Source } from "../../src/core/ports/source.ts";
import { hostileBodies } from "../support/hostile-bodies.ts";

export const NOW_MS = Date.UTC(2026, 10, 24, 12);

export interface Signed {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface SourceCase {
  readonly name: string;
  /** The source under test, with `secrets`. */
  open(secrets: readonly string[]): Source<any>;
  readonly secrets: readonly [string, string];
  sign(body: Uint8Array, secret: string, id: string, nowMs: number): Signed;
  /** A body that this source takes. */
  body(id: string): Uint8Array;
  /** Where the id, the time and the proof stand, as far as they are headers. */
  readonly headers: { readonly id?: string; readonly time?: string; readonly proof: string };
  /** Whether the proof covers the body. */
  readonly signed: boolean;
}

export function incoming({ headers, body }: Signed, nowMs: number = NOW_MS): Incoming {
  return { headers: new Map(Object.entries(headers).map(([name, value]) => [name, [value]])), body, nowMs };
}

/** What every source promises. To add a source: copy sources/stripe.ts and its test; this suite tells when it is done. */
export function sourceConformance(one: SourceCase): void {
  describe(`${one.name}: the source conformance suite`, () => {
    const [secret, other] = one.secrets;
    const source = one.open([secret]);
    const good = one.sign(one.body("id_1"), secret, "id_1", NOW_MS);

    test("takes what is signed, and finds its key", () => {
      expect(source.verify(incoming(good))).toMatchObject({ ok: true, key: "id_1" });
    });

    test("refuses another secret's signature with 401", () => {
      const forged = one.sign(one.body("id_1"), other, "id_1", NOW_MS);
      expect(source.verify(incoming(forged))).toMatchObject({ ok: false, status: 401 });
    });

    test("takes either secret during a rotation", () => {
      const rotating = one.open([other, secret]);
      expect(rotating.verify(incoming(good)).ok).toBe(true);
      expect(rotating.verify(incoming(one.sign(one.body("id_1"), other, "id_1", NOW_MS))).ok).toBe(true);
    });

    if (one.signed)
      test("refuses a body that was changed by one byte", () => {
        const body = Buffer.from(good.body);
        body[body.length - 2] = (body[body.length - 2] ?? 0) ^ 1;
        expect(source.verify(incoming({ ...good, body }))).toMatchObject({ ok: false, status: 401 });
      });

    test("refuses a proof that is missing, empty, cut, doubled or garbage with 401", () => {
      const name = one.headers.proof;
      const proof = good.headers[name] ?? "";
      const { [name]: _, ...without } = good.headers;
      const variants: [string, Incoming][] = [
        ["missing", incoming({ ...good, headers: without })],
        ...["", proof.slice(0, -3), `${proof.slice(0, 5)}`, "x".repeat(5_000), "=,=", `${proof}\u00e9`].map(
          (value): [string, Incoming] => [
            value.slice(0, 20),
            incoming({ ...good, headers: { ...good.headers, [name]: value } }),
          ],
        ),
        ["sent twice", { ...incoming(good), headers: new Map([...incoming(good).headers, [name, [proof, proof]]]) }],
      ];
      for (const [what, request] of variants)
        expect.soft(source.verify(request), what).toMatchObject({ ok: false, status: 401 });
    });

    // A request without the header of its id skipped the dedupe of another product (open-mercato/open-mercato#1343).
    test("refuses a message whose id is missing or empty: it is never taken without one", () => {
      const name = one.headers.id;
      if (name === undefined) return;
      const { [name]: _, ...without } = good.headers;
      for (const headers of [without, { ...without, [name]: "" }]) {
        expect.soft(source.verify(incoming({ ...good, headers }))).toMatchObject({ ok: false });
      }
    });

    test("refuses an id or a time that is sent twice: two readers could see two different ones", () => {
      for (const name of [one.headers.id, one.headers.time]) {
        if (name === undefined) continue;
        const value = good.headers[name] ?? "";
        const twice = { ...incoming(good), headers: new Map([...incoming(good).headers, [name, [value, value]]]) };
        expect.soft(source.verify(twice), name).toMatchObject({ ok: false, reason: "repeated-header" });
        const joined = incoming({ ...good, headers: { ...good.headers, [name]: `${value}, ${value}` } });
        expect.soft(source.verify(joined), `${name} joined`).toMatchObject({ ok: false });
      }
    });

    if (source.toleranceMs !== undefined)
      test("refuses a timestamp outside the window, past and future", () => {
        const tolerance = source.toleranceMs ?? 0;
        expect(source.verify(incoming(good, NOW_MS + tolerance - 1_000)).ok).toBe(true);
        expect(source.verify(incoming(good, NOW_MS + tolerance + 2_000))).toMatchObject({
          reason: "timestamp-too-old",
        });
        expect(source.verify(incoming(good, NOW_MS - tolerance + 1_000)).ok).toBe(true);
        expect(source.verify(incoming(good, NOW_MS - tolerance - 2_000))).toMatchObject({
          reason: "timestamp-in-future",
        });
      });

    test("gives a verdict about every hostile body, at once, and never two ids one key", () => {
      const keys = new Map<string, string>();
      for (const [what, body] of hostileBodies) {
        const before = process.cpuUsage();
        const verdict = source.verify(incoming(one.sign(body, secret, `id of ${what}`, NOW_MS)));
        // Of this process's own work: what the machine did besides does not count.
        expect.soft(process.cpuUsage(before).user / 1_000, what).toBeLessThan(1_000);
        if (!verdict.ok) {
          expect.soft([400, 401], what).toContain(verdict.status);
          continue;
        }
        expect.soft(keys.get(verdict.key), `${what} and ${keys.get(verdict.key)}`).toBeUndefined();
        keys.set(verdict.key, what);
        expect.soft(source.comparable(body).length, what).toBeLessThanOrEqual(body.length);
      }
    });

    test("throws NT_SECRET_MISSING without a secret, and never shows one", () => {
      expect(() => one.open([]).verify(incoming(good))).toThrow("NT_SECRET_MISSING");
      const verdict = source.verify(incoming(one.sign(one.body("id_1"), other, "id_1", NOW_MS)));
      expect(JSON.stringify(verdict)).not.toContain(secret);
    });
  });
}
