import Stripe from "stripe";
import { describe, expect, test } from "vitest";
import { signStripe, stripe } from "../../src/sources/stripe.ts";
import { incoming, NOW_MS, sourceConformance } from "../conformance/source.ts";

const SECRETS = ["whsec_first", "whsec_second"] as const;
const library = new Stripe("sk_test_unused");
const event = (id: string): string => JSON.stringify({ id, object: "event", type: "payment_intent.succeeded" });

sourceConformance({
  name: "stripe",
  secrets: SECRETS,
  open: (secret) => stripe({ secret }),
  sign: (body, secret, _id, nowMs) => ({ headers: signStripe(body, secret, nowMs), body }),
  body: (id) => Buffer.from(event(id)),
  headers: { proof: "stripe-signature" },
  signed: true,
});

describe("stripe", () => {
  const source = stripe({ secret: SECRETS[0] });
  const timestamp = NOW_MS / 1_000;

  test("takes what Stripe's own library signs", () => {
    const header = library.webhooks.generateTestHeaderString({
      payload: event("evt_1"),
      secret: SECRETS[0],
      timestamp,
    });
    const verdict = source.verify(
      incoming({ headers: { "stripe-signature": header }, body: Buffer.from(event("evt_1")) }),
    );
    expect(verdict).toEqual({ ok: true, key: "evt_1", topic: "payment_intent.succeeded" });
  });

  test("signs what Stripe's own library takes", () => {
    const header = signStripe(event("evt_2"), SECRETS[0], Date.now())["stripe-signature"] ?? "";
    expect(library.webhooks.constructEvent(event("evt_2"), header, SECRETS[0]).id).toBe("evt_2");
  });

  test("is stricter than it: a timestamp in the future, letters in it, two of them, seventeen signatures", () => {
    const proof = (header: string) =>
      source.verify(incoming({ headers: { "stripe-signature": header }, body: Buffer.from(event("e")) }));
    const good = signStripe(event("e"), SECRETS[0], NOW_MS)["stripe-signature"] ?? "";
    expect(proof(good)).toMatchObject({ ok: true });
    expect(proof(good.replace(/t=\d+/, "t=1e9"))).toMatchObject({ reason: "malformed-header" });
    expect(proof(`t=1,${good}`)).toMatchObject({ reason: "repeated-header" });
    expect(proof(`${good}${",v1=00".repeat(16)}`)).toMatchObject({ reason: "too-many-signatures" });
    const future = library.webhooks.generateTestHeaderString({
      payload: event("e"),
      secret: SECRETS[0],
      timestamp: timestamp + 86_400,
    });
    expect(library.webhooks.constructEvent(event("e"), future, SECRETS[0]).id).toBe("e");
    expect(proof(future)).toMatchObject({ reason: "timestamp-in-future" });
  });

  test("ignores signatures of the test scheme v0, and takes any of several v1", () => {
    const good = signStripe(event("e"), SECRETS[0], NOW_MS)["stripe-signature"] ?? "";
    const proof = (header: string) =>
      source.verify(incoming({ headers: { "stripe-signature": header }, body: Buffer.from(event("e")) }));
    expect(proof(good.replace("v1=", "v0="))).toMatchObject({ ok: false });
    expect(proof(good.replace("v1=", `v1=${"00".repeat(32)},v1=`))).toMatchObject({ ok: true });
  });

  test("two sendings of one event that differ in pending_webhooks alone compare as equal", () => {
    const body = (pending: number) => Buffer.from(`{"id":"evt_1","pending_webhooks": ${pending},"type":"t"}`);
    expect(source.comparable(body(2))).toEqual(source.comparable(body(1)));
    expect(source.comparable(Buffer.from('{"id":"evt_1","pending_webhooks":2,"type":"u"}'))).not.toEqual(
      source.comparable(body(2)),
    );
  });

  test("an id above 2^53 keeps its digits", () => {
    const signed = (id: string) => Buffer.from(`{"id":${id},"type":"t"}`);
    const key = (id: string) =>
      source.verify(incoming({ headers: signStripe(signed(id).toString(), SECRETS[0], NOW_MS), body: signed(id) }));
    expect(key("9007199254740993")).toMatchObject({ key: "9007199254740993" });
    expect(key("9007199254740992")).toMatchObject({ key: "9007199254740992" });
  });
});
