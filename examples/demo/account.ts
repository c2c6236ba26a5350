// The account: what was acknowledged against what took effect, message by message. It reads the senders' own record, the
// shop's tables and the provider's log, and never the bookkeeping of the product that it judges.
import { existsSync, readFileSync } from "node:fs";
import type { Pool } from "pg";
import type { SentEntry } from "./senders.ts";

/** One request to the provider. */
export interface ProviderEntry {
  readonly side: "shop" | "hand";
  readonly kind: "payout" | "receipt" | "mail";
  readonly key: string;
  readonly event: string;
  readonly id?: string;
  /** This request made the effect; others under the same key were answered with it. */
  readonly charged: boolean;
}

export interface Account {
  readonly sent: number;
  readonly accepted: number;
  readonly duplicates: number;
  readonly refused: number;
  readonly unanswered: number;
  /** Requests to the provider that had to be made again under a key it had seen. */
  readonly retried: number;
  /** Payments for what the shop does not sell: given up, with nothing taken. */
  readonly dead: number;
  readonly effects: number;
  readonly lost: readonly string[];
  readonly doubled: readonly string[];
  /** Stock taken beyond the sales there are. */
  readonly stockOff: number;
}

export interface Files {
  readonly sent: string;
  readonly provider: string;
}

function lines<Entry>(file: string): Entry[] {
  if (!existsSync(file)) return [];
  const complete = readFileSync(file, "utf8").split("\n").slice(0, -1);
  return complete.map((line) => JSON.parse(line) as Entry);
}

export async function account(side: "shop" | "hand", pool: Pool, files: Files): Promise<Account> {
  const sent = lines<SentEntry>(files.sent).filter((entry) => entry.side === side);
  const requests = lines<ProviderEntry>(files.provider).filter((entry) => entry.side === side);
  const schema = side === "shop" ? "shop" : "by_hand";
  const rows = await pool.query<{ effect: string; event: string; times: number }>(
    `select 'audit' as effect, event, count(*)::int as times from ${schema}.audit group by event
     union all select 'sale', event, count(*)::int from ${schema}.sale group by event
     union all select 'mail row', event, count(*)::int from ${schema}.mail group by event`,
  );
  const taken = await pool.query<{ taken: number }>(`select sum(10000 - on_hand)::int as taken from ${schema}.stock`);

  const times = new Map<string, number>();
  let effects = 0;
  const count = (effect: string, event: string, by: number): void => {
    times.set(`${effect} ${event}`, (times.get(`${effect} ${event}`) ?? 0) + by);
    effects += by;
  };
  for (const row of rows.rows) count(row.effect, row.event, row.times);
  for (const request of requests) if (request.charged) count(request.kind, request.event, 1);

  const acknowledged = new Map<string, SentEntry>();
  for (const entry of sent) if (isAcknowledged(entry)) acknowledged.set(entry.key, entry);
  const lost: string[] = [];
  const doubled: string[] = [];
  let dead = 0;
  for (const { key, payment } of acknowledged.values()) {
    const due = payment === "sold" ? ["audit", "sale", "mail row", "payout", "receipt", "mail"] : ["audit"];
    const found = due.map((effect) => times.get(`${effect} ${key}`) ?? 0);
    if (found.some((n) => n === 0)) lost.push(key);
    if (found.some((n) => n > 1)) doubled.push(key);
    if (payment === "not-sold" && !times.has(`sale ${key}`) && !times.has(`payout ${key}`)) dead++;
  }
  const sales = rows.rows.reduce((sum, row) => sum + (row.effect === "sale" ? row.times : 0), 0);
  return {
    sent: sent.length,
    accepted: acknowledged.size,
    duplicates: sent.filter(isAcknowledged).length - acknowledged.size,
    refused: sent.filter((entry) => entry.status >= 400 && entry.status < 500).length,
    unanswered: sent.filter((entry) => entry.status === 0 || entry.status >= 500).length,
    retried: requests.length - new Set(requests.map((request) => `${request.kind} ${request.key}`)).size,
    dead,
    effects,
    lost,
    doubled,
    stockOff: (taken.rows[0]?.taken ?? 0) - sales,
  };
}

function isAcknowledged(entry: SentEntry): boolean {
  return entry.status >= 200 && entry.status < 300;
}
