import examples from "@octokit/webhooks-examples" with { type: "json" };
import { sign, verify } from "@octokit/webhooks-methods";
import { describe, expect, test } from "vitest";
import { github, signGithub } from "../../src/sources/github.ts";
import { incoming, sourceConformance } from "../conformance/source.ts";

const SECRETS = ["first secret", "second secret"] as const;

sourceConformance({
  name: "github",
  secrets: SECRETS,
  open: (secret) => github({ secret }),
  sign: (body, secret, id) => ({ headers: signGithub(body, secret, id, "push"), body }),
  body: () => Buffer.from('{"ref":"refs/heads/main"}'),
  headers: { proof: "x-hub-signature-256", id: "x-github-delivery" },
  signed: true,
});

describe("github", () => {
  const source = github({ secret: SECRETS[0] });

  test("takes all 329 example payloads as GitHub's own library signs them", async () => {
    const all = examples as unknown as readonly { name: string; examples: readonly { action?: string }[] }[];
    let taken = 0;
    for (const { name, examples: payloads } of all) {
      for (const payload of payloads) {
        const body = JSON.stringify(payload);
        const headers = {
          "x-hub-signature-256": await sign(SECRETS[0], body),
          "x-github-delivery": `delivery-${taken}`,
          "x-github-event": name,
        };
        const topic = typeof payload.action === "string" ? `${name}.${payload.action}` : name;
        expect(source.verify(incoming({ headers, body: Buffer.from(body) }))).toEqual({
          ok: true,
          key: `delivery-${taken}`,
          topic,
        });
        taken++;
      }
    }
    expect(taken).toBe(329);
  });

  test("signs what GitHub's own library takes", async () => {
    const header = signGithub("{}", SECRETS[0], "id", "ping")["x-hub-signature-256"] ?? "";
    expect(await verify(SECRETS[0], "{}", header)).toBe(true);
  });

  test("GitHub's published example of a signature", () => {
    // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation
    const headers = {
      "x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
      "x-github-delivery": "id",
      "x-github-event": "ping",
    };
    const published = github({ secret: "It's a Secret to Everybody" });
    expect(published.verify(incoming({ headers, body: Buffer.from("Hello, World!") }))).toMatchObject({
      ok: true,
      topic: "ping",
    });
  });

  test("the id lies outside the signature: the same bytes under another id verify, which is why bodies are compared", () => {
    const headers = signGithub("{}", SECRETS[0], "one", "push");
    expect(
      source.verify(incoming({ headers: { ...headers, "x-github-delivery": "two" }, body: Buffer.from("{}") })),
    ).toMatchObject({ key: "two" });
    expect(source.proves).toBe("body");
  });

  test("the old SHA-1 header is no proof", () => {
    const { "x-hub-signature-256": _, ...rest } = signGithub("{}", SECRETS[0], "one", "push");
    const headers = { ...rest, "x-hub-signature": "sha1=00" };
    expect(source.verify(incoming({ headers, body: Buffer.from("{}") }))).toMatchObject({
      reason: "missing-signature",
    });
  });
});
