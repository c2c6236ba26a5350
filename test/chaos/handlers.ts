// The mix of handlers that every scenario runs, and what each must leave behind.
import { RetryError } from "../../src/index.ts";
import type { ConsumerOptions, Nevertwice } from "../../src/index.ts";
import { none } from "../../src/sources/credentials.ts";
import type { Points } from "./failpoints.ts";

export const HOT_ROWS = 20;
export const TOPICS = ["grouped", "alone", "step", "hot", "flaky", "poison", "deadly"] as const;
export type ChaosTopic = (typeof TOPICS)[number];

/** Append-only, without any unique constraint: what took place twice shows as two rows. */
export const TABLES = `
create table chaos_effect (message text not null, kind text not null, delivery uuid not null, xid text not null);
create table chaos_hot (id int primary key, n int not null default 0);
insert into chaos_hot select generate_series(0, ${HOT_ROWS - 1});`;

const EFFECT =
  "insert into public.chaos_effect (message, kind, delivery, xid) values ($1, $2, $3, pg_current_xact_id()::text)";
const retry = { baseMs: 20, maxMs: 200, maxAttempts: 1_000 };

export function inbox(nt: Nevertwice): ReturnType<typeof nt.inbox<Record<string, any>>> {
  return nt.inbox("in", none({ acceptAnybody: true, key: { header: "x-id" }, topic: { header: "x-topic" } }));
}

/** `changed` are options of some of the consumers that another deploy has otherwise. */
export function declare(
  nt: Nevertwice,
  points: Points,
  providerUrl: string,
  changed: ConsumerOptions = {},
): ReturnType<typeof inbox> {
  const from = inbox(nt);
  from.on("grouped", { consumer: "grouped", retry, ...changed }, async (_, { message, deliveryId, tx }) => {
    await tx.query(EFFECT, [message.key, "grouped", deliveryId]);
    await points.reach("in-tx");
  });
  from.on("alone", { consumer: "alone", retry, group: false }, async (_, { message, deliveryId, tx }) => {
    const frozen = await points.reach("started", message.key);
    await tx.query(EFFECT, [message.key, "alone", deliveryId]);
    // One that was frozen asks for more time: a zombie's retry must not reach the delivery that another one runs now. It is
    // told that it was: by the clock, the newer execution on a machine that stood still took itself for a zombie.
    if (frozen) throw new RetryError("frozen", { afterMs: 10_000 });
  });
  from.on("step", { consumer: "step", retry }, async (_, { message, deliveryId, step, tx, send }) => {
    await step.run("charge", async ({ idempotencyKey, signal }) => {
      await points.reach("before-request");
      const response = await fetch(`${providerUrl}/${message.key}`, {
        method: "POST",
        headers: { "idempotency-key": idempotencyKey, "x-made-at": String(Date.now()) },
        signal,
      });
      if (!response.ok) throw new Error(`the provider answered ${response.status}`);
      const answer = await response.text();
      await points.reach("after-request");
      return answer;
    });
    await tx.query(EFFECT, [message.key, "step", deliveryId]);
    await send("sent", { of: message.key });
  });
  nt.on<{ of: string }>("sent", { consumer: "sent", retry }, async ({ of }, { deliveryId, tx }) => {
    await tx.query(EFFECT, [of, "sent", deliveryId]);
  });
  from.on("hot", { consumer: "hot", retry }, async (_, { message, deliveryId, tx }) => {
    await tx.query("update public.chaos_hot set n = n + 1 where id = $1", [spread(message.key, HOT_ROWS)]);
    await tx.query(EFFECT, [message.key, "hot", deliveryId]);
  });
  from.on("flaky", { consumer: "flaky", retry, ...changed }, async (_, { message, deliveryId, tx, attempt }) => {
    await tx.query(EFFECT, [message.key, "flaky", deliveryId]);
    if (attempt <= spread(message.key, 3)) throw new Error("not this time");
  });
  // Kills its process until it is known to have done so.
  from.on("poison", { consumer: "poison", retry }, async (_, { message, deliveryId, tx, attempt }) => {
    await tx.query(EFFECT, [message.key, "poison", deliveryId]);
    if (attempt === 1) process.kill(process.pid, "SIGKILL");
  });
  from.on(
    "deadly",
    { consumer: "deadly", retry: { ...retry, maxAttempts: 2 } },
    async (_, { message, deliveryId, tx }) => {
      await tx.query(EFFECT, [message.key, "deadly", deliveryId]);
      process.kill(process.pid, "SIGKILL");
    },
  );
  return from;
}

/** The consumers that a newer deploy has besides: of all that comes in, and of what is sent. */
export function declareNew(nt: Nevertwice, from: ReturnType<typeof inbox>): void {
  from.on("*", { consumer: "audit", retry }, async (_, { message, deliveryId, tx }) => {
    await tx.query(EFFECT, [message.key, "audit", deliveryId]);
  });
  nt.on<{ of: string }>("*", { consumer: "watch", retry }, async ({ of }, { deliveryId, tx }) => {
    await tx.query(EFFECT, [of, "watch", deliveryId]);
  });
}

/** The kinds of effect that a message of a topic has, once each. */
export function due(topic: ChaosTopic): readonly string[] {
  if (topic === "deadly") return [];
  return topic === "step" ? ["step", "sent"] : [topic];
}

function spread(key: string, over: number): number {
  let hash = 7;
  for (const character of key) hash = (hash * 31 + character.charCodeAt(0)) >>> 0;
  return hash % over;
}
