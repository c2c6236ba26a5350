// The reading side on five weeks of messages: how much each statement reads, as the server itself counts it. What reads the
// whole of a history to show a page of it works on the developer's machine, and not a month later.
import { beforeAll, describe, expect, test } from "vitest";
import { lowestId } from "../../src/core/id.ts";
import { listConsumers, retireConsumer } from "../../src/store/read/consumers.ts";
import { health } from "../../src/store/read/health.ts";
import { type ListFilter, listMessages } from "../../src/store/read/list.ts";
import type { Reader } from "../../src/store/read/reader.ts";
import { deadLetters, neverHad, newestDeliveries, replay } from "../../src/store/read/replay.ts";
import { findMessages, showMessage } from "../../src/store/read/show.ts";
import { fill, filled } from "../support/filled.ts";
import { testDatabase } from "../support/instance.ts";

const db = testDatabase();
const DAY_MS = 86_400_000;

interface Node {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Actual Rows": number;
  readonly "Actual Loops": number;
  readonly "Rows Removed by Filter"?: number;
  readonly Plans?: readonly Node[];
}
interface Cost {
  /** Its first line. */
  readonly statement: string;
  /** Rows read from tables, those that a filter threw away among them. */
  readonly rows: number;
  /** Tables read from end to end in which there was something to read: more than a handful. */
  readonly scanned: readonly string[];
}

const HANDFUL = 300;

function cost(statement: string, plan: Node): Cost {
  let rows = 0;
  const scanned: string[] = [];
  const walk = (node: Node): void => {
    const table = node["Relation Name"];
    if (table !== undefined && /Scan/.test(node["Node Type"])) {
      const read = (node["Actual Rows"] + (node["Rows Removed by Filter"] ?? 0)) * node["Actual Loops"];
      rows += read;
      if (node["Node Type"] === "Seq Scan" && read > HANDFUL) scanned.push(table.replace(/_\d{8}$/, ""));
    }
    for (const child of node.Plans ?? []) walk(child);
  };
  walk(plan);
  return { statement: statement.slice(3).split("\n")[0] ?? "", rows: Math.ceil(rows), scanned: [...new Set(scanned)] };
}

/** What the statements of an act cost. What they write is undone. */
async function costs(act: (reader: Reader) => Promise<unknown>): Promise<Cost[]> {
  const found: Cost[] = [];
  const client = await db.pool.connect();
  await client.query("begin");
  try {
    await act({
      async query(text, values = []) {
        await client.query("savepoint before");
        const explained = await client.query(`explain (analyze, timing off, format json) ${text}`, [...values]);
        await client.query("rollback to savepoint before");
        const [{ Plan: plan }] = explained.rows[0]["QUERY PLAN"] as [{ Plan: Node }];
        found.push(cost(text, plan));
        return client.query(text, [...values]) as Promise<any>;
      },
    });
  } finally {
    await client.query("rollback");
    client.release();
  }
  return found;
}

describe("on five weeks of messages", () => {
  let message: { id: string; key: string; delivery_id: string };
  beforeAll(async () => {
    await db.open().ready();
    await fill(db.pool);
    [message] = (await db.rows(
      `select m.id, m.key, a.delivery_id
       from nevertwice.message m
       join nevertwice.attempt a on a.message_id = m.id and a.outcome = 'completed'
       order by m.id
       offset 30000
       limit 1`,
    )) as [typeof message];
  });

  const page = (filter: Partial<ListFilter>) => (reader: Reader) => listMessages(reader, { limit: 20, ...filter });
  const { outstanding, overdue, dead } = filled;

  test.each<[string, number, (reader: Reader) => Promise<unknown>]>([
    ["list", 200, page({})],
    ["list --before", 200, (reader) => page({ before: message.id })(reader)],
    ["list --key", 100, (reader) => page({ key: message.key })(reader)],
    ["list --source, of many", 200, page({ source: "shop" })],
    ["list --topic, one of twenty", 1_000, page({ topic: "topic-3" })],
    // However long ago they died.
    ["list --state dead", 2 * dead + 200, page({ state: "dead" })],
    ["list --state dead --source", 2 * dead + 200, page({ state: "dead", source: "shop" })],
    ["list --state duplicate", 200, page({ state: "duplicate" })],
    ["list --state completed", 300, (reader) => page({ state: "completed", before: message.id })(reader)],
    ["show, by id", 20, (reader) => show(reader, message.id)],
    ["show, by delivery", 20, (reader) => show(reader, message.delivery_id)],
    ["show, by key", 20, (reader) => show(reader, message.key)],
    ["consumer list", outstanding + dead + 100, listConsumers],
    ["replay, of a message", 20, (reader) => newestDeliveries(reader, [message.id], {})],
    ["replay --dead", 2 * dead + 100, (reader) => deadLetters(reader, { limit: 100 })],
    ["replay --dead --consumer", 2 * dead, (reader) => deadLetters(reader, { limit: 100, consumer: "c1" })],
    [
      "replay, made",
      dead + 50,
      (reader) =>
        replay(
          reader,
          [{ message_id: message.id, consumer: "c1", delivery_id: message.delivery_id, state: "completed" }],
          "",
        ),
    ],
    // Of the last day: a thirtieth of all, and what became of each.
    [
      "replay --consumer --since",
      20_000,
      (reader) => {
        const since = new Date(Date.now() - DAY_MS);
        return neverHad(reader, { consumer: "c1", since, lowestId: lowestId(since.getTime()), limit: 100 });
      },
    ],
    // It has ten batches of 1,000, and each is taken, locked and deleted, whatever the others are.
    ["consumer retire", 4_000, (reader) => retireConsumer(reader, "c1", "")],
  ])("%s reads what it shows, and no table from end to end", async (_, most, act) => {
    for (const one of await costs(act)) {
      expect(one.scanned, one.statement).toEqual([]);
      expect(one.rows, one.statement).toBeLessThanOrEqual(most);
    }
  });

  // By nature: an index that leads to the newest of them would be written by each accept.
  test("list --state outstanding reads what is outstanding once, and of the rest the page", async () => {
    const [found, standing] = await costs(page({ state: "outstanding" }));
    expect(found?.scanned).toEqual(["delivery"]);
    expect(found?.rows).toBeLessThanOrEqual(outstanding + 100);
    expect(standing?.scanned).toEqual([]);
    expect(standing?.rows).toBeLessThanOrEqual(200);
  });

  test("doctor reads what is overdue, the messages of the last days, and the refusals of the last one", async () => {
    const since = Date.now() - 3 * DAY_MS;
    const [recent] = await db.rows<{ n: number }>("select count(*)::int as n from nevertwice.message where id >= $1", [
      lowestId(since),
    ]);
    const found = await costs((reader) => health(reader, lowestId(since)));
    for (const one of found) expect(one.scanned, one.statement).toEqual([]);
    const rows = (name: string) => found.find((one) => one.statement.includes(name))?.rows;
    expect(rows("stuck")).toBeLessThanOrEqual(overdue + 100);
    expect(rows("no consumer takes")).toBeLessThanOrEqual((recent?.n ?? 0) + 100);
    expect(rows("refusals")).toBeLessThanOrEqual(200);
  });

  test("what scans is told: the canary of this file", async () => {
    const [one] = await costs((reader) =>
      reader.query("-- by error\nselect from nevertwice.attempt where error = 'x'"),
    );
    expect(one).toEqual({ statement: "by error", rows: 160_000, scanned: ["attempt"] });
  });
});

async function show(reader: Reader, named: string): Promise<void> {
  const [id = ""] = await findMessages(reader, named);
  expect(await showMessage(reader, id)).toBeDefined();
}
