// Senders as providers are: they sign, send, and come again on a timeout or anything but 2xx, up to 8 times in 20 s.
import { appendFileSync } from "node:fs";
import { headers, type Planned } from "./plan.ts";

/** One request and its answer, as the sender saw it. */
export interface SentEntry {
  readonly side: "shop" | "hand";
  readonly source: "stripe" | "github";
  readonly key: string;
  readonly payment?: "sold" | "not-sold";
  readonly forged: boolean;
  /** 0: no answer. */
  readonly status: number;
  /** The first words of the answer. */
  readonly answer: string;
}

export interface Target {
  readonly side: "shop" | "hand";
  url(source: "stripe" | "github"): string;
}

const PAUSES_MS = [300, 700, 1_500, 2_500, 3_500, 4_500, 5_500];

export class Senders {
  readonly #file: string;
  readonly #secrets: Readonly<Record<"stripe" | "github", string>>;
  requests = 0;

  constructor(file: string, secrets: Readonly<Record<"stripe" | "github", string>>) {
    this.#file = file;
    this.#secrets = secrets;
  }

  /** Resolves when every sender has been answered 2xx or has given up. */
  async play(messages: readonly Planned[], targets: readonly Target[]): Promise<void> {
    const began = performance.now();
    await Promise.all(
      messages.map(async (message) => {
        await pause(message.at - (performance.now() - began));
        await Promise.all(targets.map((target) => this.#message(message, target)));
      }),
    );
  }

  async #message(message: Planned, target: Target): Promise<void> {
    const copies = Array.from({ length: message.copies }, (_, copy) => async () => {
      if (!message.together) await pause(copy * 400);
      await this.#copy(message, copy, target);
    });
    if (message.forged) copies.push(() => this.#copy(message, 0, target, "not the secret"));
    await Promise.all(copies.map((send) => send()));
  }

  /** A forger comes again only when nobody answered. */
  async #copy(message: Planned, copy: number, target: Target, forgedSecret?: string): Promise<void> {
    for (let tries = 0; ; tries++) {
      const status = await this.#request(message, copy, target, forgedSecret);
      const wait = PAUSES_MS[tries];
      const done = forgedSecret === undefined ? status >= 200 && status < 300 : status !== 0;
      if (done || wait === undefined) return;
      await pause(wait);
    }
  }

  async #request(message: Planned, copy: number, target: Target, forgedSecret?: string): Promise<number> {
    const body = message.body(copy);
    let status = 0;
    let answer = "";
    this.requests++;
    try {
      const response = await fetch(target.url(message.source), {
        method: "POST",
        headers: await headers(message, body, forgedSecret ?? this.#secrets[message.source]),
        body,
        signal: AbortSignal.timeout(3_000),
      });
      status = response.status;
      answer = (await response.text()).slice(0, 100);
    } catch {
      // No answer: the sender cannot know what became of it.
    }
    const { side } = target;
    const { source, key, payment } = message;
    const entry: SentEntry = {
      side,
      source,
      key,
      ...(payment === undefined ? {} : { payment }),
      forged: forgedSecret !== undefined,
      status,
      answer,
    };
    appendFileSync(this.#file, `${JSON.stringify(entry)}\n`);
    return status;
  }
}

function pause(ms: number): Promise<void> {
  return ms <= 0 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, ms));
}
