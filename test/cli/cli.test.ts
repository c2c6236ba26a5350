import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TerminalError } from "../../src/index.ts";
import { commandLine, commandProcess, MAIN, type Ran } from "../support/command-line.ts";
import { until } from "../support/database.ts";
import { testDatabase } from "../support/instance.ts";

const SOURCE = path.resolve("src");
const db = testDatabase();
let folder: string;
const before = { folder: process.cwd(), url: process.env["DATABASE_URL"] };
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "nt-cli-"));
  process.chdir(folder);
  process.env["DATABASE_URL"] = db.url;
});
afterAll(async () => {
  process.chdir(before.folder);
  process.env["DATABASE_URL"] = before.url ?? "";
  await rm(folder, { recursive: true, force: true });
});

const cli = commandLine;
const shell = (words: readonly string[], env: Record<string, string> = {}): Promise<Ran> =>
  commandProcess(words, folder, { DATABASE_URL: db.url, ...env });
const json = async (words: readonly string[]): Promise<any> => JSON.parse((await cli([...words, "--json"])).out);
const settled = () => until("all settled", async () => (await db.rows("select from nevertwice.delivery")).length === 0);

describe("the command line", () => {
  test("a wrong command, flag or word: what was meant, and exit 2", async () => {
    const [none, command, flag, words, state] = await Promise.all([
      shell([]),
      shell(["lst"]),
      shell(["list", "--stat", "dead"]),
      shell(["show"]),
      shell(["list", "--state", "ded"]),
    ]);
    expect([none.code, command.code, flag.code, words.code, state.code]).toEqual([2, 2, 2, 2, 2]);
    expect(command.err).toContain("did you mean `list`?");
    expect(flag.err).toContain("did you mean `--state`?");
    expect(words.err).toContain("usage: nevertwice show");
    expect(state.err).toContain("Did you mean dead?");
    const help = await shell(["replay", "--help"]);
    expect([help.code, help.out.includes("--dry-run")]).toEqual([0, true]);
  });

  test("before the tables are there each command says what to do; migrate makes them, and prints them", async () => {
    const missing = await cli(["list"]);
    expect([missing.code, missing.err]).toEqual([
      1,
      expect.stringMatching(/NT_SCHEMA_MISSING[\s\S]*nevertwice migrate/),
    ]);
    expect((await cli(["doctor"])).code).toBe(1);
    const printed = await cli(["migrate", "--print", "--schema", "mine"]);
    expect(printed.out).toContain('create table "mine".message');
    const migration = Number(readdirSync(path.join(SOURCE, "store/migrations")).sort().at(-1)?.slice(0, 4));
    expect((await cli(["migrate"])).out).toContain(`migration ${migration}`);
    expect(await json(["migrate"])).toEqual({ schema: "nevertwice", migration });
    expect(await cli(["list"])).toMatchObject({ code: 0, out: "no messages\n" });
  });

  test("list, show, replay, verify-books: the life of a message", async () => {
    const nt = db.open();
    let mended = false;
    nt.on("order.*", { consumer: "ship" }, async (_, { tx, step }) => {
      await step.run("label", () => "L1");
      await tx.query("insert into effect (name) values ('ship')");
      if (!mended) throw new TerminalError("no stock");
    });
    nt.on("order.placed", { consumer: "mail" }, () => {});
    const hostile = `order.placed`;
    await nt.send(hostile, { text: "\u001b[2J hidden \u202e" }, { key: "k-\u001b[31m-1" });
    await nt.send("order.placed", { text: "\u001b[2J hidden \u202e" }, { key: "k-\u001b[31m-1" });
    await nt.send("nobody.takes", {}, { key: "k2" });
    await nt.start();
    await settled();
    await until("the copy is counted", async () => (await db.rows("select from nevertwice.duplicate")).length === 1);

    const rows = (await cli(["list", "--json"])).out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(rows.map((row) => [row["topic"], row["completed"], row["dead"], row["duplicates"]])).toEqual([
      ["nobody.takes", 0, 0, 0],
      ["order.placed", 1, 1, 1],
    ]);
    const id = String(rows[1]?.["id"]);
    const text = await cli(["list"]);
    expect(text.out).not.toContain("\u001b");
    expect(text.out).toContain("1 completed, 1 dead, came 2 times");
    expect((await cli(["list", "--state", "dead"])).out).toContain(id);
    expect((await cli(["list", "--state", "outstanding"])).out).toBe("no messages\n");
    expect((await cli(["list", "--before", id])).out).toBe("no messages\n");

    const shown = await json(["show", id]);
    expect(shown.deliveries.map((one: any) => [one.consumer, one.state])).toEqual([
      ["mail", "completed"],
      ["ship", "dead"],
    ]);
    const human = await cli(["show", "k2"]);
    expect(human.out).toContain("no consumer took it");
    const detailed = await cli(["show", id, "--body"]);
    expect(detailed.out).not.toMatch(/\u001b|\u202e/);
    expect(detailed.out).toContain("no stock");
    expect(detailed.out).toContain("step label: done");
    expect((await cli(["show", "nothing"])).err).toContain("NT_NOT_FOUND");

    const dry = await cli(["replay", id, "--dry-run"]);
    expect(dry.out).toMatch(/skipped, completed already: 1 delivery[\s\S]*would replay 1 delivery/);
    mended = true;
    // Two people at once: one new delivery.
    const both = await Promise.all([
      cli(["replay", "--dead", "--reason", "stock came", "--json"]),
      cli(["replay", "--dead", "--json"]),
    ]);
    const made = both.flatMap((one) => (JSON.parse(one.out) as { replayed: unknown[] }).replayed);
    expect(made).toHaveLength(1);
    await settled();
    const after = await json(["show", id]);
    expect(after.deliveries.map((one: any) => [one.consumer, one.state])).toEqual([
      ["mail", "completed"],
      ["ship", "dead"],
      ["ship", "completed"],
    ]);
    expect(after.steps).toHaveLength(1);
    expect(after.steps[0].tries).toBe(1);
    expect(await db.rows("select from effect where name = 'ship'")).toHaveLength(1);
    const again = await json(["replay", id]);
    expect([again.replayed.length, again.skipped.length]).toEqual([0, 2]);
    const forced = await json(["replay", id, "--consumer", "mail", "--include-completed"]);
    expect(forced.replayed).toHaveLength(1);
    await settled();
    expect((await cli(["verify-books"])).code).toBe(0);
  });

  test("a new consumer is given what came before it, once", async () => {
    const nt = db.open();
    nt.on(
      "nobody.takes",
      { consumer: "late" },
      async (_, { tx }) => void (await tx.query("insert into effect (name) values ('late')")),
    );
    nt.on("order.*", { consumer: "ship" }, () => {});
    nt.on("order.placed", { consumer: "mail" }, () => {});
    await nt.start();
    expect((await json(["replay", "--consumer", "late", "--since", "1h"])).replayed).toHaveLength(1);
    await settled();
    expect((await json(["replay", "--consumer", "late", "--since", "1h"])).replayed).toHaveLength(0);
    expect(await db.rows("select from effect where name = 'late'")).toHaveLength(1);
    expect((await cli(["replay", "--consumer", "late", "--since", "yesterday"])).code).toBe(2);
  });

  test("verify-books finds a planted offence of each kind, and exits 1", async () => {
    const [message] = await db.rows<{ id: string }>("select id from nevertwice.message where topic = 'order.placed'");
    const id = message?.id;
    const rules = async () => ((await json(["verify-books"])).offences as { rule: string }[]).map((one) => one.rule);
    await db.pool.query(
      "insert into nevertwice.consumer (name, source, topic, topic_like, registered_at) values ('ghost', 'own', '*', '%', now() - interval '1 day')",
    );
    expect(await rules()).toContain("one original delivery for each consumer registered at the time");
    expect((await cli(["verify-books"])).code).toBe(1);
    await db.pool.query("delete from nevertwice.consumer where name = 'ghost'");
    await db.pool.query(
      `insert into nevertwice.delivery (id, message_id, consumer_id, due_at)
       select delivery_id, message_id, consumer_id, now() + interval '1 hour' from nevertwice.attempt where outcome = 'completed' limit 1`,
    );
    expect(await rules()).toContain("outstanding or settled, never both");
    await db.pool.query("delete from nevertwice.delivery");
    await db.pool.query(
      `insert into nevertwice.attempt (message_id, delivery_id, consumer_id, attempt, outcome, ended_at)
       select $1, nevertwice.replay_delivery_id($1), id, 1, 'retry', now() from nevertwice.consumer limit 1`,
      [id],
    );
    expect(await rules()).toEqual(["outstanding or settled, never neither"]);
    await db.pool.query("delete from nevertwice.attempt where outcome = 'retry'");
    await db.pool.query(
      "insert into nevertwice.dead_letter select nevertwice.replay_delivery_id($1), $1, id, 1, now(), '' from nevertwice.consumer limit 1",
      [id],
    );
    expect(await rules()).toEqual(["a dead letter for each delivery settled as dead, until it is replayed"]);
    await db.pool.query("delete from nevertwice.dead_letter");
    await db.pool.query(
      `insert into nevertwice.delivery (id, message_id, consumer_id, due_at)
       select gen_random_uuid(), gen_random_uuid(), id, now() + interval '1 hour' from nevertwice.consumer limit 1`,
    );
    expect(await rules()).toEqual(["every outstanding delivery has its message"]);
    await db.pool.query("delete from nevertwice.delivery");
    expect(await rules()).toEqual([]);
  });

  test("consumer list and retire: what is outstanding is cancelled, with the reason in its history", async () => {
    const nt = db.open();
    nt.on("old.topic", { consumer: "old" }, () => {});
    await nt.send("old.topic", {}, { key: "old-1" });
    const listed = (await cli(["consumer", "list", "--json"])).out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(listed.find((one) => one["name"] === "old")).toMatchObject({ outstanding: 1, retired_at: null });
    expect((await cli(["consumer", "retire", "nobody"])).code).toBe(1);
    expect(await json(["consumer", "retire", "old", "--reason", "moved"])).toEqual({ consumer: "old", cancelled: 1 });
    const shown = await json(["show", "old-1"]);
    expect(shown.attempts[0]).toMatchObject({ outcome: "cancelled", error: "consumer retired: moved" });
    await nt.send("old.topic", {}, { key: "old-2" });
    expect((await json(["show", "old-2"])).deliveries).toEqual([]);
    expect((await cli(["verify-books"])).code).toBe(0);
  });

  test("schedule list tells when each is next, there and in UTC; pause, resume and remove", async () => {
    const none = await cli(["schedule", "list"]);
    expect(none).toMatchObject({ code: 0, out: "no schedules\n" });
    const nt = db.open();
    await nt.schedules.set("report", { cron: "0 2 * * *", zone: "Asia/Kathmandu", missed: "all", jitterMs: 60_000 });
    await nt.schedule("nightly", { cron: "30 4 1 1 *", zone: "Europe/Berlin" }).start();
    await until("the next is known", async () => (await nt.schedules.list()).every((one) => one.nextAt! > new Date()));
    const text = (await cli(["schedule", "list"])).out;
    expect(text).toMatch(
      /nightly +30 4 1 1 \* +Europe\/Berlin +\d{4}-01-01 04:30:00 \+01:00 +\d{4}-01-01T03:30:00Z +- +once +- +in code, /,
    );
    expect(text).toMatch(
      /report +0 2 \* \* \* +Asia\/Kathmandu +[\d-]+ 02:00:00 \+05:45 +[\d-]+T20:15:00Z +- +all +- +at run time, /,
    );
    expect(await json(["schedule", "pause", "report"])).toEqual({ schedule: "report", done: "pause" });
    const listed = (await cli(["schedule", "list", "--json"])).out.trim().split("\n");
    expect(JSON.parse(listed[1] ?? "")).toMatchObject({
      name: "report",
      jitterMs: 60_000,
      pausedAt: expect.any(String),
    });
    expect((await cli(["schedule", "resume", "report"])).out).toBe("report: resumed\n");
    expect((await cli(["schedule", "remove", "nightly"])).err).toMatch(/NT_SCHEDULE_ORIGIN[\s\S]*code declares/);
    expect((await cli(["schedule", "remove", "nobody"])).err).toContain("NT_NOT_FOUND");
    expect((await cli(["schedule", "lst"])).err).toContain("Did you mean list?");
    expect((await cli(["schedule", "pause"])).code).toBe(2);
    await nt.stop();
    await db.pool.query(
      "update nevertwice.schedule set declared_at = now() - interval '1 day', next_at = now() - interval '6 minutes'",
    );
    const doctor = (await cli(["doctor"])).out;
    expect(doctor).toMatch(/schedule nobody declares: nightly/);
    expect(doctor).toMatch(/schedule stands still: report/);
    expect((await cli(["schedule", "remove", "nightly"])).out).toBe("nightly: removed\n");
    expect((await cli(["schedule", "remove", "report"])).code).toBe(0);
  });

  test("doctor names who pins the vacuum horizon, what is stuck, and what nobody declares", async () => {
    const fresh = await json(["doctor"]);
    expect(fresh.healthy).toBe(true);
    const holder = await db.pool.connect();
    await holder.query("begin isolation level repeatable read");
    const { rows } = await holder.query<{ pid: number }>("select pg_backend_pid() as pid");
    await db.pool.query(
      "insert into nevertwice.consumer (name, source, topic, topic_like, declared_at) values ('gone', 'own', 'gone.*', 'gone.%', now() - interval '2 days')",
    );
    await db.pool.query(
      `insert into nevertwice.delivery (id, message_id, consumer_id, due_at)
       select nevertwice.replay_delivery_id(m.id), m.id, c.id, now() - interval '2 hours'
       from nevertwice.consumer c, (select id from nevertwice.message limit 1) m where c.name = 'gone'`,
    );
    const text = await cli(["doctor"]);
    expect(text.code).toBe(1);
    expect(text.out).toMatch(/stuck deliveries: gone: 1 overdue/);
    expect(text.out).toMatch(/consumer nobody declares: gone/);
    // A minute is what it takes to count as pinned: the query is asked for the same with no patience.
    const { health } = await import("../../src/store/read/health.ts");
    const impatient = {
      query: (sql: string, values?: readonly unknown[]) =>
        db.pool.query(sql.replaceAll("interval '1 minute'", "interval '0'"), values as unknown[]),
    };
    const found = await health(impatient as never, "00000000-0000-0000-0000-000000000000");
    expect(found.horizon.some((one) => one.name.includes(`pid ${rows[0]?.pid}`))).toBe(true);
    await holder.query("rollback");
    holder.release();
    await db.pool.query("delete from nevertwice.delivery");
  });

  test("start serves the inboxes of a config file, post signs for them, SIGTERM drains, and doctor compares windows", async () => {
    await writeFile(
      path.join(folder, "nevertwice.config.ts"),
      `import { Nevertwice } from "${SOURCE}/index.ts";
       import { stripe } from "${SOURCE}/sources/stripe.ts";
       const nt = new Nevertwice({ database: () => process.env.DATABASE_URL, dedupeDays: 1 });
       nt.inbox("stripe", stripe({ secret: () => process.env.STRIPE_WEBHOOK_SECRET })).on("*", async (_, { tx }) => {
         await tx.query("insert into effect (name) values ('served')");
       });
       export default nt;`,
    );
    const env = { STRIPE_WEBHOOK_SECRET: "whsec_cli", PORT: "0" };
    const child = spawn(process.execPath, [MAIN, "start", "--host", "127.0.0.1"], {
      cwd: folder,
      env: { ...process.env, DATABASE_URL: db.url, ...env },
    });
    let log = "";
    child.stdout.on("data", (chunk) => (log += String(chunk)));
    child.stderr.on("data", (chunk) => (log += String(chunk)));
    const file = path.join(folder, ".nevertwice/server.json");
    await until("it listens", () => existsSync(file) || child.exitCode !== null);
    expect(child.exitCode, log).toBeNull();
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const first = await shell(["post", "stripe", "payment_intent.succeeded", "--id", "evt_posted"], env);
    expect([first.code, first.out]).toEqual([0, expect.stringContaining('"status":"accepted"')]);
    expect((await shell(["post", "stripe", "payment_intent.succeeded", "--id", "evt_posted"], env)).out).toContain(
      "duplicate",
    );
    expect((await shell(["post", "strpe", "x"], env)).err).toContain("Did you mean stripe?");
    expect((await shell(["post", "stripe", "x", "--secret", "wrong"], env)).code).toBe(1);
    await settled();
    expect(await db.rows("select from effect where name = 'served'")).toHaveLength(1);
    const windows = await shell(["doctor"], env);
    expect(windows.out).toMatch(/dedupe window: stripe .*keys remembered 1 days, it retries for 3 days/);
    child.kill("SIGTERM");
    const code = await new Promise((resolve) => child.once("exit", resolve));
    expect([code, existsSync(file)]).toEqual([0, false]);
    expect(log).not.toContain("whsec_cli");
    for (const line of log.trim().split("\n")) expect(() => JSON.parse(line)).not.toThrow();
    await rm(path.join(folder, "nevertwice.config.ts"));
    const broken = path.join(folder, "broken.ts");
    await writeFile(broken, "export default 1;");
    expect((await shell(["start", "--config", broken])).err).toContain("NT_CONFIG");
    expect(await readFile(broken, "utf8")).toContain("1");
  });
});
