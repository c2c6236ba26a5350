import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { fault } from "../../core/errors.ts";
import { nearest } from "../../core/nearest.ts";
import { signGithub } from "../../sources/github.ts";
import { signStandardWebhook } from "../../sources/standard-webhooks.ts";
import { signStripe } from "../../sources/stripe.ts";
import { type Command, isSet, text } from "../command.ts";
import { plain } from "../print.ts";
import { readServerFile } from "../server-file.ts";

interface Posted {
  readonly body: string;
  readonly headers: Record<string, string>;
}

type Sign = (topic: string, id: string, secret: string, nowMs: number, body: string | undefined) => Posted;

/** Always the same, so that posting an id again is a duplicate and not another body. */
const MADE_AT = 1_764_000_000;

const providers: Readonly<Record<string, { secretName: string; id(): string; sign: Sign }>> = {
  stripe: {
    secretName: "STRIPE_WEBHOOK_SECRET",
    id: () => `evt_${randomUUID().replaceAll("-", "")}`,
    sign(type, id, secret, nowMs, given) {
      const object = {
        id: `pi_${id.slice(4, 28)}`,
        object: type.split(".")[0],
        amount: 1_200,
        currency: "eur",
        metadata: { sku: "tea" },
      };
      const event = {
        id,
        object: "event",
        type,
        created: MADE_AT,
        livemode: false,
        pending_webhooks: 1,
        data: { object },
      };
      const body = given ?? JSON.stringify(event);
      return { body, headers: signStripe(body, secret, nowMs) };
    },
  },
  github: {
    secretName: "GITHUB_WEBHOOK_SECRET",
    id: () => randomUUID(),
    sign(topic, id, secret, _nowMs, given) {
      const [event = topic, action] = topic.split(".");
      const body =
        given ??
        JSON.stringify({
          ...(action === undefined ? {} : { action }),
          zen: "Keep it logically awesome.",
          delivery: id,
        });
      return { body, headers: signGithub(body, secret, id, event) };
    },
  },
  "standard-webhooks": {
    secretName: "STANDARD_WEBHOOK_SECRET",
    id: () => `msg_${randomUUID().replaceAll("-", "")}`,
    sign(type, id, secret, nowMs, given) {
      const body = given ?? JSON.stringify({ type, timestamp: new Date(MADE_AT * 1_000).toISOString(), data: {} });
      return { body, headers: signStandardWebhook(body, secret, id, nowMs) };
    },
  },
};

export const post: Command = {
  name: "post",
  usage: "post <stripe|github|standard-webhooks> <topic>",
  about: "sign a test event as its provider would, and send it to the running server",
  flags: {
    url: { type: "string", value: "url", about: "where to (default: the running server's /in/<provider>)" },
    secret: {
      type: "string",
      value: "secret",
      about: "to sign with (default: the running demo's, or <PROVIDER>_WEBHOOK_SECRET)",
    },
    id: { type: "string", value: "id", about: "the event's id; the same id again is a duplicate" },
    body: { type: "string", value: "file", about: "the body to send instead of a made one" },
  },
  words: [2, 2],
  async run(given) {
    const [name = "", topic = ""] = given.words;
    const provider = providers[name];
    if (provider === undefined) {
      const near = nearest(name, Object.keys(providers));
      throw fault("NT_USAGE", {
        expected: `a provider: ${Object.keys(providers).join(", ")}`,
        got: plain(name),
        ...(near === undefined ? {} : { next: `Did you mean ${near}?` }),
      });
    }
    const running = readServerFile();
    const url = text(given, "url") ?? (running === undefined ? undefined : `${running.url}/in/${name}`);
    if (url === undefined) {
      throw fault("NT_USAGE", {
        expected: "a running server, or --url",
        got: "neither",
        next: "Start one: npm start, or nevertwice start.",
      });
    }
    const secret = text(given, "secret") ?? running?.secrets?.[name] ?? process.env[provider.secretName];
    if (secret === undefined || secret === "")
      throw fault("NT_SECRET_MISSING", { got: "none", next: `Give --secret, or set ${provider.secretName}.` });
    const file = text(given, "body");
    if (file !== undefined && !existsSync(file))
      throw fault("NT_USAGE", { expected: "--body <file>", got: `no file ${plain(file)}` });
    const id = text(given, "id") ?? provider.id();
    const { body, headers } = provider.sign(
      topic,
      id,
      secret,
      Date.now(),
      file === undefined ? undefined : readFileSync(file, "utf8"),
    );
    let response: Response;
    try {
      response = await fetch(url, {
        method: "POST",
        body,
        headers: { "content-type": "application/json", ...headers },
      });
    } catch (cause) {
      throw fault("NT_USAGE", {
        expected: `a server at ${url}`,
        got: "no answer",
        next: "Start one: npm start, or nevertwice start.",
        cause,
      });
    }
    const answer = await response.text();
    if (isSet(given, "json")) console.log(JSON.stringify({ key: id, status: response.status, answer: parsed(answer) }));
    else
      console.log(
        `${response.status} ${plain(answer.slice(0, 500))}\n  key ${plain(id)}: nevertwice show ${plain(id)}`,
      );
    return response.ok ? 0 : 1;
  },
};

function parsed(answer: string): unknown {
  try {
    return JSON.parse(answer);
  } catch {
    return answer;
  }
}
