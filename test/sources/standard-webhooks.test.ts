import { generateKeyPairSync, sign as signBytes } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { Webhook as Svix } from "svix";
import { describe, expect, test } from "vitest";
import { signStandardWebhook, standardWebhooks } from "../../src/sources/standard-webhooks.ts";
import { incoming, NOW_MS, sourceConformance } from "../conformance/source.ts";

const SECRETS = [
  `whsec_${Buffer.alloc(24, 1).toString("base64")}`,
  `whsec_${Buffer.alloc(32, 2).toString("base64")}`,
] as const;
const BODY = '{"type":"contact.created","data":{}}';

sourceConformance({
  name: "standard webhooks",
  secrets: SECRETS,
  open: (secret) => standardWebhooks({ secret }),
  sign: (body, secret, id, nowMs) => ({ headers: signStandardWebhook(body, secret, id, nowMs), body }),
  body: () => Buffer.from(BODY),
  headers: { proof: "webhook-signature", id: "webhook-id", time: "webhook-timestamp" },
  signed: true,
});

describe("standard webhooks", () => {
  const source = standardWebhooks({ secret: SECRETS[0] });
  const request = (signature: string, id = "msg_1") =>
    incoming({
      headers: { "webhook-id": id, "webhook-timestamp": String(NOW_MS / 1_000), "webhook-signature": signature },
      body: Buffer.from(BODY),
    });

  test.each([
    ["standardwebhooks", new Webhook(SECRETS[0])],
    ["svix", new Svix(SECRETS[0])],
  ])("takes what %s signs, and signs what it takes", (_, library) => {
    expect(source.verify(request(library.sign("msg_1", new Date(NOW_MS), BODY)))).toEqual({
      ok: true,
      key: "msg_1",
      topic: "contact.created",
    });
    const ours = signStandardWebhook(BODY, SECRETS[0], "msg_2", Date.now());
    expect(() => library.verify(BODY, ours)).not.toThrow();
    expect(() => library.verify(`${BODY} `, ours)).toThrow();
  });

  test("takes ed25519 signatures by a public key, and no others", () => {
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
    const asymmetric = standardWebhooks({ secret: `whpk_${raw.toString("base64")}` });
    const signature = signBytes(null, Buffer.from(`msg_1.${NOW_MS / 1_000}.${BODY}`), privateKey).toString("base64");
    expect(asymmetric.verify(request(`v1a,${signature}`))).toMatchObject({ ok: true });
    expect(asymmetric.verify(request(`v1a,${signature}`, "msg_2"))).toMatchObject({ reason: "bad-signature" });
    // A public key is no secret: an HMAC made with it must not pass for a signature.
    const confused =
      signStandardWebhook(BODY, `whsec_${raw.toString("base64")}`, "msg_1", NOW_MS)["webhook-signature"] ?? "";
    expect(asymmetric.verify(request(confused))).toMatchObject({ reason: "bad-signature" });
  });

  test("takes one good signature among sixteen, and refuses seventeen", () => {
    const good = signStandardWebhook(BODY, SECRETS[0], "msg_1", NOW_MS)["webhook-signature"] ?? "";
    const bad = `v1,${Buffer.alloc(32).toString("base64")} `;
    expect(source.verify(request(bad.repeat(15) + good))).toMatchObject({ ok: true });
    expect(source.verify(request(bad.repeat(16) + good))).toMatchObject({ reason: "too-many-signatures" });
  });

  test("refuses a body without a type, unless a topic is configured", () => {
    const signed = { headers: signStandardWebhook("{}", SECRETS[0], "m", NOW_MS), body: Buffer.from("{}") };
    expect(source.verify(incoming(signed))).toMatchObject({ ok: false, status: 400, reason: "missing-topic" });
    expect(standardWebhooks({ secret: SECRETS[0], topic: "any" }).verify(incoming(signed))).toMatchObject({
      topic: "any",
    });
  });

  test("a malformed secret is an error of configuration", () => {
    expect(() => standardWebhooks({ secret: "whsec_not base64!" }).verify(request("v1,x"))).toThrow("NT_OPTION");
  });
});
