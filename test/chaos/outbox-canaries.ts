// What an outbox is got wrong by: reading on from where one stood, and sending beside the caller's transaction.
import type { OutboxTx } from "../../src/index.ts";
import type { Arrival, Claimed, Store } from "../../src/core/ports/store.ts";
import type { Canary } from "./canaries.ts";
import { bound } from "./failpoints.ts";

/**
 * What a cursor would see of what was claimed: nothing that is older than the newest one before. Of the consumer alone whose
 * messages have no delay and no priority: what it passes over came late and in no other way.
 */
function aheadOf(seen: Map<string, string>, claimed: readonly Claimed[]): readonly Claimed[] {
  const before = new Map(seen);
  for (const { consumer, messageId } of claimed) {
    if (messageId > (seen.get(consumer) ?? "")) seen.set(consumer, messageId);
  }
  return claimed.filter(({ consumer, messageId }) => consumer !== "race" || messageId > (before.get(consumer) ?? ""));
}

export const outboxCanaries = {
  cursor: {
    about: "workers read on from the newest id that they have seen",
    reasons: ["lost"],
    leaves: true,
    wrap(store: Store) {
      const { claim } = bound(store);
      const seen = new Map<string, string>();
      return Object.assign(store, {
        claim: async (...words: Parameters<Store["claim"]>) => aheadOf(seen, await claim(...words)),
        // A cursor never comes back to what it has passed. No worker is killed here: nothing else is to be taken over.
        takeOver: async () => undefined,
      });
    },
  },
  "send-apart": {
    about: "what is sent with `tx` is sent on a connection of our own, before the caller's COMMIT",
    reasons: ["uncommitted"],
    wrap: (store: Store) =>
      Object.assign(store, { sendIn: (_: OutboxTx, arrivals: readonly Arrival[]) => store.accept(arrivals) }),
  },
  "send-after": {
    about: "what is sent with `tx` is kept in memory, and sent after the caller's COMMIT",
    reasons: ["lost"],
    wrap(store: Store) {
      const kept = new Map<object, Arrival[]>();
      return Object.assign(store, {
        async sendIn(tx: OutboxTx, arrivals: readonly Arrival[]) {
          const all = kept.get(tx) ?? watched(tx, (sent) => store.accept(sent), kept);
          all.push(...arrivals);
          return arrivals.map(({ id }) => ({ kind: "accepted" as const, id }));
        },
      });
    },
  },
} satisfies Record<string, Canary>;

/** Hands on what was kept for this client when it has committed; forgets it when it has rolled back. */
function watched(
  tx: OutboxTx,
  hand: (arrivals: readonly Arrival[]) => Promise<unknown>,
  kept: Map<object, Arrival[]>,
): Arrival[] {
  const client = tx as { query(text: string, values?: unknown[]): Promise<{ command: string }> };
  const query = client.query.bind(client);
  const all: Arrival[] = [];
  kept.set(client, all);
  client.query = async (text, values) => {
    const answer = await query(text, values);
    const ended = answer.command === "COMMIT" || answer.command === "ROLLBACK";
    const sent = ended ? all.splice(0) : [];
    if (answer.command === "COMMIT" && sent.length > 0) await hand(sent);
    return answer;
  };
  return all;
}
