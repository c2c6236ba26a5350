import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Nevertwice, TerminalError } from "../../src/index.ts";
import { startEmbedded } from "../../src/store/embedded/server.ts";
import { until } from "../support/database.ts";
import { testDatabase } from "../support/instance.ts";
import { keepingLogger } from "../support/logger.ts";

const undo: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const one of undo.splice(0).reverse()) await one();
});

async function cli(url: string, ...words: string[]): Promise<{ code: number; stdout: string }> {
  return promisify(execFile)(process.execPath, ["src/cli/main.ts", ...words, "--database", url])
    .then(({ stdout }) => ({ code: 0, stdout }))
    .catch((error: { code: number; stdout: string }) => error);
}

// A server is restored from a backup that is older than a step's result: the result is gone, its request would leave again.
// The server is a real one: archive recovery ends, and PostgreSQL begins a new timeline.
test("a restore pauses steps: no request leaves and no attempt is counted until the timeline is confirmed", async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), "nt-timeline-"));
  undo.push(() => rm(folder, { recursive: true, force: true }));
  const first = await startEmbedded({ folder });
  const backup = `${first.dataFolder}.backup`;
  undo.push(() => rm(path.dirname(first.dataFolder), { recursive: true, force: true }));
  const copy = (from: string, to: string): void => {
    expect(spawnSync("cp", ["-a", from, to]).status).toBe(0);
  };

  const requests: string[] = [];
  const shop = (url: string): { nt: Nevertwice; logger: ReturnType<typeof keepingLogger> } => {
    const logger = keepingLogger();
    const nt = new Nevertwice({ database: url, logger, leaseMs: 2_000 });
    undo.push(() => nt.stop({ deadlineMs: 1_000 }));
    nt.on("pay", { consumer: "pay", retry: { maxAttempts: 1 } }, async (_, { step, tx }) => {
      await step.run("charge", ({ idempotencyKey }) => void requests.push(idempotencyKey));
      await tx.query("insert into effect values ('paid')");
    });
    // It has an effect before its step, and takes the step's error for an answer.
    nt.on("pay", { consumer: "careless", retry: { maxAttempts: 1 } }, async (_, { step, tx }) => {
      await tx.query("insert into effect values ('careless')");
      await step.run("mail", ({ idempotencyKey }) => void requests.push(idempotencyKey)).catch(() => {});
    });
    return { nt, logger };
  };
  async function ask(url: string, text: string): Promise<any[]> {
    const client = new pg.Client(url);
    await client.connect();
    try {
      return (await client.query(text)).rows;
    } finally {
      await client.end();
    }
  }
  const timeline = async (url: string): Promise<string> =>
    (await ask(url, "select left(pg_walfile_name(pg_current_wal_lsn()), 8) as timeline"))[0].timeline;
  const outstanding = async (url: string): Promise<number> =>
    (await ask(url, "select from nevertwice.delivery")).length;

  const sender = shop(first.url);
  await ask(first.url, "create table effect (name text)");
  await sender.nt.send("pay", {});
  expect(await timeline(first.url)).toBe("00000001");
  await sender.nt.stop();
  await first.leave();
  copy(first.dataFolder, backup);

  const second = await startEmbedded({ folder });
  const before = shop(second.url);
  await before.nt.start();
  await until("both have run", async () => (await outstanding(second.url)) === 0);
  const once = [...requests].sort();
  expect(once).toHaveLength(2);
  await before.nt.stop();
  expect((await cli(second.url, "doctor")).stdout).toMatch(/ok +timeline: \d+\/\d+\/\d+\/00000001, confirmed /);
  await second.leave();

  await rm(first.dataFolder, { recursive: true });
  copy(backup, first.dataFolder);
  await writeFile(path.join(first.dataFolder, "recovery.signal"), "");
  const restored = await startEmbedded({ folder, settings: { restore_command: "false" } });
  undo.push(() => restored.leave());
  const { url } = restored;
  // It lets us in before it has ended.
  await until("recovery has ended", async () => !(await ask(url, "select pg_is_in_recovery() as it"))[0].it);
  expect([await timeline(url), await outstanding(url)]).toEqual(["00000002", 2]);

  requests.length = 0;
  const { nt, logger } = shop(url);
  await nt.start();
  const deliveries = (): Promise<unknown[]> =>
    ask(
      url,
      "select state, attempts from nevertwice.delivery where due_at > clock_timestamp() + interval '15 seconds'",
    );
  const putOff = { state: "retrying", attempts: 0 };
  await until("both are put off", async () => (await deliveries()).length === 2);
  expect(await deliveries()).toEqual([putOff, putOff]);
  await ask(url, "update nevertwice.delivery set due_at = clock_timestamp()");
  await until("both are put off again", async () => (await deliveries()).length === 2);
  expect(requests).toEqual([]);
  expect(await ask(url, "select from effect")).toEqual([]);
  expect(await ask(url, "select from nevertwice.step")).toEqual([]);
  const history = await ask(url, "select outcome, attempt, left(error, 15) as error from nevertwice.attempt");
  const paused = { outcome: "interrupted", attempt: 1, error: "NT_STEPS_PAUSED" };
  expect(history).toEqual([paused, paused]);
  const said = (event: string): number => logger.lines.filter((line) => line.event === event).length;
  expect([said("steps are paused"), said("steps go on")]).toEqual([1, 0]);

  const sick = await cli(url, "doctor");
  expect([sick.code, sick.stdout]).toEqual([
    1,
    expect.stringMatching(
      /error +timeline: the database went back in time[^\n]*\/00000002, seen first 2[^\n]*it was on [^\n]*\/00000001[\s\S]*nevertwice timeline confirm/,
    ),
  ]);
  expect((await cli(url, "timeline")).stdout).toMatch(/\/00000001 +no [\s\S]*\/00000002 +yes +2\S+ +- +-\n/);
  const confirmed = await cli(url, "timeline", "confirm", "--note", "restored by hand", "--json");
  expect(JSON.parse(confirmed.stdout)).toMatchObject({ note: "restored by hand", current: true });
  expect((await cli(url, "doctor")).code).toBe(0);

  // It would take them half a minute.
  await ask(url, "update nevertwice.delivery set due_at = clock_timestamp()");
  await until("both have run", async () => (await outstanding(url)) === 0);
  expect([...requests].sort()).toEqual(once);
  expect((await ask(url, "select name from effect order by name")).map((row) => row.name)).toEqual([
    "careless",
    "paid",
  ]);
  expect(await ask(url, "select attempt from nevertwice.attempt where outcome = 'completed'")).toEqual([
    { attempt: 1 },
    { attempt: 1 },
  ]);
  expect([said("steps are paused"), said("steps go on")]).toEqual([1, 1]);
});

describe("while steps are paused", () => {
  const db = testDatabase();
  beforeEach(async () => {
    await db.open().ready();
    await db.pool.query("update nevertwice.timeline set confirmed_at = null");
    await db.pool.query("delete from effect");
  });
  const putOff = (n: number) =>
    until(`${n} put off`, async () => {
      const found = await db.rows<{ state: string; attempts: number }>(
        "select state, attempts from nevertwice.delivery where due_at > clock_timestamp() + interval '15 seconds'",
      );
      return found.length === n && found.every((one) => one.state === "retrying" && one.attempts === 0);
    });
  const goOn = async () => {
    await db.pool.query("update nevertwice.timeline set confirmed_at = clock_timestamp()");
    await db.pool.query("update nevertwice.delivery set due_at = clock_timestamp()");
    await until("all settled", async () => (await db.rows("select from nevertwice.delivery")).length === 0);
  };

  test("whatever a handler makes of it, its delivery is put off: an error of its own, or the next step", async () => {
    const nt = db.open();
    const requests: string[] = [];
    nt.on("buried", { retry: { maxAttempts: 1 } }, (_, { step }) =>
      step
        .run("call", () => void requests.push("call"))
        .catch((cause: unknown) => {
          throw new TerminalError("the provider is away", { cause });
        }),
    );
    nt.on("onward", { retry: { maxAttempts: 1 } }, async (_, { step }) => {
      await step.run("reserve", () => void requests.push("reserve")).catch(() => {});
      // The timeline is confirmed between the two.
      await db.pool.query("update nevertwice.timeline set confirmed_at = clock_timestamp() where $1", [
        requests.length === 0,
      ]);
      await step.run("charge", () => void requests.push("charge"));
    });
    await nt.send("buried", {});
    await nt.start();
    await putOff(1);
    await nt.send("onward", {});
    await putOff(2);
    expect(requests).toEqual([]);
    expect(await db.rows("select from nevertwice.dead_letter")).toEqual([]);
    await goOn();
    expect([...requests].sort()).toEqual(["call", "charge", "reserve"]);
  });

  test("a step that was finished before gives its result, and a handler without a step runs", async () => {
    await db.pool.query("update nevertwice.timeline set confirmed_at = clock_timestamp()");
    const nt = db.open();
    let requests = 0;
    const results: unknown[] = [];
    nt.on("finished", { retry: { baseMs: 1, maxMs: 5 } }, async (_, { step, attempt }) => {
      results.push(await step.run("call", () => ++requests));
      if (attempt > 1) return;
      await db.pool.query("update nevertwice.timeline set confirmed_at = null");
      throw new Error("after its step");
    });
    nt.on("plain", async (_, { tx }) => void (await tx.query("insert into effect (name) values ('plain')")));
    await nt.send("finished", {});
    await nt.start();
    await nt.send("plain", {});
    await until("all settled", async () => (await db.rows("select from nevertwice.delivery")).length === 0);
    expect([requests, results]).toEqual([1, [1, 1]]);
    expect(await db.rows("select from effect")).toHaveLength(1);
  });
});
