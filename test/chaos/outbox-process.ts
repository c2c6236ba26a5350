// A process of the race of outboxes: a writer, which sends in its own transactions, or a worker, which processes what was sent.
import { randomUUID } from "node:crypto";
import pg from "pg";
import { type Job, Nevertwice } from "../../src/index.ts";
import { keepingLogger } from "../support/logger.ts";
import { type Answered, Points, report } from "./failpoints.ts";
import { chaosStore, comesUp } from "./process-setup.ts";
import { mulberry32 } from "./random.ts";

const { CHAOS_ROLE, CHAOS_URL = "", CHAOS_LEASE_MS, CHAOS_SEED } = process.env;
const logger = keepingLogger();
const points = new Points();
const random = mulberry32(Number(CHAOS_SEED));
const store = await chaosStore({ schema: "nevertwice", logger });
const nt = new Nevertwice({ database: store, logger, leaseMs: Number(CHAOS_LEASE_MS) });

interface Payload {
  readonly mark: string;
}
/** What a transaction sends: its marks, and for each of them how it was answered. */
interface Sending {
  readonly kind: string;
  readonly marks: readonly string[];
  /** Under which it is unique. */
  readonly key?: string;
  send(client: pg.Client): Promise<readonly { readonly id: string; readonly kind: string }[]>;
}

const EFFECT =
  "insert into public.chaos_effect (message, kind, delivery, xid) values ($1, $2, $3, pg_current_xact_id()::text)";
const worker = CHAOS_ROLE === "worker";
/** A worker has the handler, a writer the job alone. */
function job(name: string): Job<Payload> {
  if (!worker) return nt.job<Payload>(name, {});
  return nt.job<Payload>(name, {}, async ({ mark }, { tx, deliveryId }) => {
    await tx.query(EFFECT, [mark, name, deliveryId]);
  });
}
const [jobs, unique, replace] = [job("race-job"), job("race-unique"), job("race-replace")];
if (worker) {
  nt.on<Payload>("race", { consumer: "race" }, async ({ mark }, { tx, deliveryId }) => {
    await tx.query(EFFECT, [mark, "race", deliveryId]);
  });
}

const upTo = (most: number): number => 1 + Math.floor(most * random());
const made = (kind: string, n = 1): string[] => Array.from({ length: n }, () => `${kind}-${randomUUID().slice(0, 13)}`);
const bySql = (text: string) => async (client: pg.Client, marks: readonly string[]) =>
  (await client.query<{ id: string; kind: string }>(text, [marks])).rows;
const sqlSend = bySql(
  `select s.id, s.outcome as kind
   from unnest($1::text[]) m (mark), nevertwice.send('race', json_build_object('mark', m.mark)) s`,
);
const sqlEnqueue = bySql(
  `select s.id, s.outcome as kind
   from unnest($1::text[]) m (mark), nevertwice.enqueue('race-job', json_build_object('mark', m.mark)) s`,
);

const WAYS: readonly (() => Sending)[] = [
  () => {
    const [mark = ""] = made("one");
    return { kind: "race", marks: [mark], send: async (tx) => [await nt.send("race", { mark }, { tx })] };
  },
  () => {
    const marks = made("bulk", upTo(8));
    const messages = marks.map((mark) => ({ topic: "race", payload: { mark } }));
    return { kind: "race", marks, send: (tx) => nt.sendMany(messages, { tx }) };
  },
  () => {
    const marks = made("sql", upTo(3));
    return { kind: "race", marks, send: (client) => sqlSend(client, marks) };
  },
  () => {
    const marks = made("enqueue", upTo(3));
    return { kind: "race-job", marks, send: (client) => sqlEnqueue(client, marks) };
  },
  () => {
    const marks = made("job", upTo(4));
    const delayMs = random() < 0.3 ? upTo(500) : 0;
    const priority = random() < 0.5 ? 0 : 1;
    const all = marks.map((mark) => ({ input: { mark }, delayMs, priority }) as const);
    return { kind: "race-job", marks, send: (tx) => jobs.enqueueMany(all, { tx }) };
  },
  // The same key from whoever is at it in the same fifth of a second, in this process and in others.
  () => {
    const mark = `keyed-${Math.floor(Date.now() / 200)}`;
    return { kind: "race", marks: [mark], send: async (tx) => [await nt.send("race", { mark }, { tx, key: mark })] };
  },
  () => {
    const [mark = ""] = made("unique");
    const key = `u${upTo(6)}`;
    const options = { key, unique: { while: "outstanding" } } as const;
    return {
      kind: "race-unique",
      marks: [mark],
      key,
      send: async (tx) => [await unique.enqueue({ mark }, { ...options, tx })],
    };
  },
  () => {
    const [mark = ""] = made("replace");
    const key = `r${upTo(6)}`;
    const options = { key, delayMs: 300, unique: { while: "waiting", onConflict: "replace" } } as const;
    return {
      kind: "race-replace",
      marks: [mark],
      key,
      send: async (tx) => [await replace.enqueue({ mark }, { ...options, tx })],
    };
  },
];

const MARK = `insert into public.chaos_marker (mark, kind, key, message, outcome, sent_at, marked_at)
select m.mark, $2, $3, m.message, m.outcome, $5, clock_timestamp()
from unnest($1::text[], $4::text[], $6::text[]) as m (mark, message, outcome)`;

/** Mostly short, and one in twelve much longer than what others need to send, commit and be processed. */
function holdMs(): number {
  const luck = random();
  return luck < 0.7 ? 60 * random() : luck < 0.92 ? 500 * random() : 1_000 + 3_000 * random();
}

/** Sends, writes its own mark beside it, and commits, holds, or rolls back: one after another, on one connection. */
async function write(): Promise<void> {
  let client: pg.Client | undefined;
  for (;;) {
    client ??= await connected();
    const sending = (WAYS[Math.floor(random() * WAYS.length)] as () => Sending)();
    const { marks } = sending;
    report({ offered: marks });
    let as: Answered = "failed";
    try {
      await client.query("begin");
      await client.query("set local lock_timeout = '2s'");
      const pid = String((client as pg.Client & { processID: number }).processID);
      await points.reach("before-send", pid);
      const at = await client.query<{ at: string }>("select clock_timestamp()::text as at");
      const answers = await sending.send(client);
      await points.reach("sent", pid);
      await new Promise((resolve) => setTimeout(resolve, holdMs()));
      const ids = answers.map(({ id }) => id);
      const kinds = answers.map(({ kind }) => kind);
      await client.query(MARK, [marks, sending.kind, sending.key ?? null, ids, at.rows[0]?.at, kinds]);
      if (random() < 0.15) {
        await client.query("rollback");
        as = "rolled-back";
      } else {
        await points.reach("before-commit", pid);
        as = "unknown";
        const commit = client.query("commit");
        commit.catch(() => {});
        await points.reach("committing", pid);
        as = (await commit).command === "COMMIT" ? "committed" : "rolled-back";
      }
    } catch {
      client.end().catch(() => {});
      client = undefined;
    }
    report({ answered: marks, as });
  }
}

async function connected(): Promise<pg.Client> {
  for (;;) {
    const client = new pg.Client({ connectionString: CHAOS_URL, application_name: "chaos-writer" });
    client.on("error", () => {});
    try {
      await client.connect();
      return client;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

await comesUp(nt);
if (worker) await nt.start();
report({ ready: true });
if (!worker) for (let i = 0; i < 4; i++) void write();
