// The providers: they offer messages to the accepting server, send again what was not acknowledged, and keep the list of what was.
import { randomUUID } from "node:crypto";
import type { ChaosTopic } from "./handlers.ts";

const EVERY_MS = 40;
const AT_ONCE = 6;
/**
 * With so much outstanding nothing new is offered. Each worker has its hands full all the same, and a machine that is slower
 * than the providers does not work off a backlog of thousands after the last fault.
 */
const MOST_OWED = 500;

export class Senders {
  readonly offered = new Map<string, ChaosTopic>();
  readonly acked = new Set<string>();
  /** Deliveries outstanding, as the harness last counted them. */
  owed = 0;
  mostOwed = MOST_OWED;
  readonly #random: () => number;
  readonly #url: () => string;
  readonly #topicOf: (luck: number, n: number) => ChaosTopic;
  readonly #sending = new Set<Promise<void>>();
  #offering: NodeJS.Timeout | undefined;
  #stopping = false;

  /** `url` is asked each time: the server is killed, and the next one listens elsewhere. `topicOf` is given a number from 0 to 1. */
  constructor(random: () => number, url: () => string, topicOf: (luck: number, n: number) => ChaosTopic = mixed) {
    this.#random = random;
    this.#url = url;
    this.#topicOf = topicOf;
  }

  start(): void {
    this.#offering = setInterval(() => this.#offer(), EVERY_MS);
  }

  /** Offers no more, and waits for the answers to what was offered. */
  async finish(): Promise<void> {
    clearInterval(this.#offering);
    await Promise.all(this.#sending);
  }

  stop(): void {
    this.#stopping = true;
    clearInterval(this.#offering);
  }

  #offer(): void {
    if (this.owed + this.#sending.size > this.mostOwed) return;
    for (let i = 0; i < AT_ONCE; i++) {
      const n = this.offered.size;
      const topic = this.#topicOf(this.#random(), n);
      const key = `${topic}-${n}-${randomUUID().slice(0, 8)}`;
      this.offered.set(key, topic);
      const sent = this.#send(key, topic).finally(() => this.#sending.delete(sent));
      this.#sending.add(sent);
    }
  }

  /** As providers do: again on anything but 2xx. A tenth sends a copy beside it. */
  async #send(key: string, topic: ChaosTopic): Promise<void> {
    const copies = this.#random() < 0.1 ? 2 : 1;
    await Promise.all(
      Array.from({ length: copies }, async () => {
        for (let tries = 0; tries < 60; tries++) {
          try {
            const response = await fetch(`${this.#url()}/in/in`, {
              method: "POST",
              body: "{}",
              headers: { "x-id": key, "x-topic": topic },
              signal: AbortSignal.timeout(5_000),
            });
            await response.arrayBuffer();
            if (response.ok) {
              this.acked.add(key);
              return;
            }
          } catch {
            // No answer: it cannot know.
          }
          await new Promise((resolve) => setTimeout(resolve, 300));
          if (this.#stopping) return;
        }
      }),
    );
  }
}

/** Two that kill their process for a while, one that always does, and the rest in a fixed proportion. */
function mixed(luck: number, n: number): ChaosTopic {
  if (n === 30 || n === 300) return "poison";
  if (n === 60) return "deadly";
  return luck < 0.35 ? "grouped" : luck < 0.45 ? "alone" : luck < 0.65 ? "step" : luck < 0.85 ? "hot" : "flaky";
}
