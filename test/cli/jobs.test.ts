// What the command line tells and does about jobs.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { commandLine } from "../support/command-line.ts";
import { until } from "../support/database.ts";
import { testDatabase } from "../support/instance.ts";

const db = testDatabase();
const before = process.env["DATABASE_URL"];
beforeAll(() => {
  process.env["DATABASE_URL"] = db.url;
});
afterAll(() => {
  process.env["DATABASE_URL"] = before ?? "";
});
const json = async (words: readonly string[]): Promise<any> =>
  JSON.parse((await commandLine([...words, "--json"])).out);

describe("jobs on the command line", () => {
  test("show tells how far one was, what it returned, and what is to become of one that waits", async () => {
    const nt = db.open();
    const job = nt.job<{ n: number }, { twice: number }>("double", {}, async ({ n }, { progress }) => {
      await progress(0.5, "half \u001b[31m done");
      return { twice: n * 2 };
    });
    const done = await job.enqueue({ n: 21 }, { key: "k-21" });
    await nt.start();
    await done.result();
    const waiting = await job.enqueue({ n: 1 }, { delayMs: 3_600_000, priority: 2, expireAfterMs: 60_000 });
    const shown = await commandLine(["show", "k-21"]);
    expect(shown.out).toContain('result {"twice":42}');
    expect(shown.out).toMatch(/progress +50 % .*half .* done/);
    expect(shown.out).not.toContain("\u001b[31m done");
    const other = await commandLine(["show", waiting.id]);
    expect(other.out).toMatch(/expires .*unless it has begun\n +priority 2/);
    const object = await json(["show", done.id]);
    expect(object.deliveries[0]).toMatchObject({ state: "completed", result: { twice: 42 } });
    expect(object.notes).toMatchObject([{ progress: 0.5 }]);
  });

  test("consumer pause and resume; doctor tells what stands still because somebody said so", async () => {
    const nt = db.open();
    let ran = 0;
    const job = nt.job("held", {}, () => void ran++);
    await nt.start();
    expect(await json(["consumer", "pause", "held"])).toEqual({ consumer: "held", paused: true });
    const one = await job.enqueue(1);
    const doctor = await commandLine(["doctor"]);
    expect(doctor.out).toMatch(/paused consumer: held: 1 outstanding/);
    expect((await commandLine(["show", one.id])).out).toContain("its consumer is paused since");
    expect(ran).toBe(0);
    expect((await commandLine(["consumer", "resume", "held"])).out).toBe("resumed held\n");
    await until("it ran", () => ran === 1);
    const unknown = await commandLine(["consumer", "pause", "nobody"]);
    expect([unknown.code, unknown.err]).toEqual([1, expect.stringContaining("NT_NOT_FOUND")]);
  });
});

describe("a schedule of a job on the command line", () => {
  test("schedule set: its input is checked with a config file; without one the job has to be declared", async () => {
    const nt = db.open();
    nt.job("nightly", {});
    await nt.ready();
    const folder = await mkdtemp(path.join(os.tmpdir(), "nt-config-"));
    const config = path.join(folder, "nevertwice.config.mjs");
    await writeFile(
      config,
      `import { Nevertwice } from ${JSON.stringify(pathToFileURL(path.resolve("src/index.ts")).href)};
       const nt = new Nevertwice({ database: undefined });
       const validate = (value) => (value.n === 1 ? { value } : { issues: [{ message: "not one", path: ["n"] }] });
       nt.job("nightly", { input: { "~standard": { version: 1, vendor: "test", validate } } });
       export default nt;`,
    );
    const set = (...more: string[]) =>
      commandLine(["schedule", "set", "night", "--cron", "0 2 * * *", "--zone", "Europe/Berlin", ...more]);
    expect((await set("--job", "nightly", "--input", '{"n": 2}', "--config", config)).err).toMatch(
      /NT_JOB_INPUT[\s\S]*nightly: n: not one/,
    );
    expect((await set("--job", "nobody")).err).toContain("NT_NOT_FOUND");
    expect((await set("--job", "nightly", "--input", "{")).err).toContain("NT_USAGE");
    expect((await set("--job", "nightly", "--missed", "al")).err).toContain("NT_OPTION");
    expect((await commandLine(["schedule", "pause", "night", "--cron", "0 2 * * *"])).code).toBe(2);
    expect(await set("--job", "nightly", "--input", '{"n": 1}', "--config", config)).toMatchObject({
      code: 0,
      out: "night: set\n",
    });
    expect((await commandLine(["schedule", "list"])).out).toMatch(/night .*at run time, of job nightly/);
    expect((await set("--topic", "plain")).code).toBe(0);
    expect((await commandLine(["schedule", "remove", "night"])).code).toBe(0);
    await rm(folder, { recursive: true });
  });
});

describe("a job that waits for its children, on the command line", () => {
  test("list, show and doctor say what it waits for; show says of a child whose it is", async () => {
    const nt = db.open();
    const child = nt.job<number, void>("page", {});
    const parent = nt.job("book", {}, async (_, { children, step }) => {
      await step.run("cover", () => 1);
      await children("pages", child, [1, 2, 3]);
    });
    const one = await parent.enqueue(null);
    await nt.start();
    const state = async () => (await json(["show", one.id])).deliveries[0]?.state;
    await until("it waits", async () => (await state()) === "blocked");
    const shown = (await commandLine(["show", one.id])).out;
    expect(shown).toMatch(/waits for its children; looked at again/);
    expect(shown).toMatch(/children pages, of job page: 0 of 3 ended, 0 dead/);
    expect(shown).toContain("interrupted");
    expect(shown).toContain("waits for its children: pages (3)");
    expect(shown).toContain("step cover: done");
    expect(shown).not.toContain("step children");
    expect((await commandLine(["list", "--topic", "book"])).out).toContain("1 waits for its children");
    expect((await commandLine(["doctor"])).out).toMatch(/children: book: 1 delivery waits for its children/);
    const [first] = await db.rows<{ id: string }>("select id from nevertwice.message where topic = 'page' limit 1");
    expect((await commandLine(["show", first?.id ?? ""])).out).toContain(
      `child      of ${one.id}, one of its \`pages\``,
    );
    // Nobody looks at it: no worker declares its consumer.
    await nt.stop();
    await db.rows("update nevertwice.delivery set due_at = now() - interval '5 minutes' where state = 'blocked'");
    expect((await commandLine(["doctor"])).out).toMatch(/stuck deliveries: book: 1 overdue/);
    await db.open().cancel(one.id, { children: true });
    expect((await commandLine(["verify-books"])).code).toBe(0);
  });
});
