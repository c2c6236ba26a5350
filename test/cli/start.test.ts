import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import os from "node:os";
import path from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { until } from "../support/database.ts";
import { testDatabase } from "../support/instance.ts";

const db = testDatabase();
const MAIN = path.resolve("src/cli/main.ts");
const undo: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const one of undo.splice(0).reverse()) await one();
});

async function temporary(): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "nt-start-"));
  undo.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

interface Started {
  readonly child: ChildProcess;
  log(): string;
  readonly ended: Promise<number | null>;
}

function run(words: readonly string[], cwd: string, env: Record<string, string | undefined>): Started {
  const child = spawn(process.execPath, words, { cwd, env: { ...process.env, ...env } });
  let log = "";
  child.stdout.on("data", (chunk) => (log += String(chunk)));
  child.stderr.on("data", (chunk) => (log += String(chunk)));
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  undo.push(async () => (child.kill("SIGKILL"), ended));
  return { child, log: () => log, ended };
}

/** `nevertwice start` with a handler that says that it began and ends when it is told to. */
async function working(...flags: string[]): Promise<Started> {
  const folder = await temporary();
  await writeFile(
    path.join(folder, "nevertwice.config.ts"),
    `import { Nevertwice } from "${path.resolve("src/index.ts")}";
     import pg from "${path.resolve("node_modules/pg/esm/index.mjs")}";
     const beside = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 1, allowExitOnIdle: true });
     const nt = new Nevertwice({ database: () => process.env.DATABASE_URL });
     nt.on("slow", async (_, { tx }) => {
       await tx.query("insert into effect (name) values ('half')");
       await beside.query("insert into effect (name) values ('begun')");
       while ((await beside.query("select from effect where name = 'go on'")).rows.length === 0)
         await new Promise((resolve) => setTimeout(resolve, 20));
       await tx.query("insert into effect (name) values ('whole')");
     });
     export default nt;`,
  );
  await db.pool.query("delete from effect");
  const started = run([MAIN, "start", "--no-server", ...flags], folder, { DATABASE_URL: db.url });
  await until("it works", () => started.log().includes("database ready") || started.child.exitCode !== null);
  const sender = db.open();
  await sender.send("slow", {});
  await until("the handler began", async () => (await effects()).includes("begun"));
  started.child.kill("SIGTERM");
  await until("it stops", () => started.log().includes('"msg":"stopping"'));
  return started;
}
const effects = async () =>
  (await db.rows<{ name: string }>("select name from effect order by name")).map((row) => row.name);
const outcomes = async () =>
  (await db.rows<{ outcome: string }>("select outcome from nevertwice.attempt order by ended_at")).map(
    (row) => row.outcome,
  );

describe("SIGTERM", () => {
  test("lets what runs end within the deadline, and the process ends with 0", async () => {
    const { ended, log } = await working();
    await db.pool.query("insert into effect (name) values ('go on')");
    expect(await ended, log()).toBe(0);
    expect(await effects()).toEqual(["begun", "go on", "half", "whole"]);
    expect(await outcomes()).toEqual(["completed"]);
  });

  // A graceful stop that ran out of time committed half of a handler's writes while failing its job (timgit/pg-boss#890).
  test("past the deadline takes it back whole, for another worker, and ends all the same", async () => {
    const { ended, log } = await working("--deadline-ms", "100");
    expect(await ended, log()).toBe(0);
    expect(await effects()).toEqual(["begun"]);
    expect((await outcomes()).at(-1)).toBe("interrupted");
    expect(await db.rows("select attempts from nevertwice.delivery")).toEqual([{ attempts: 0 }]);
    await db.pool.query("delete from nevertwice.delivery");
  });
});

test("a topic that no consumer takes is told by doctor, with what to do", async () => {
  await db.open().send("nobody.takes.this", {});
  const { ended, log } = run([MAIN, "doctor"], await temporary(), { DATABASE_URL: db.url });
  await ended;
  expect(log()).toMatch(
    /topic without a consumer: own nobody\.takes\.this: 1 message[\s\S]*nevertwice replay --consumer/,
  );
});

test("on a timeline that nobody has confirmed start says so, before any step is held up, and doctor exits with 1", async () => {
  const folder = await temporary();
  await writeFile(
    path.join(folder, "nevertwice.config.ts"),
    `import { Nevertwice } from "${path.resolve("src/index.ts")}";
     export default new Nevertwice({ database: () => process.env.DATABASE_URL });`,
  );
  await db.open().ready();
  await db.pool.query("update nevertwice.timeline set confirmed_at = null");
  const { child, ended, log } = run([MAIN, "start", "--no-server"], folder, { DATABASE_URL: db.url });
  await until("it says so", () => log().includes('"msg":"steps are paused"') || child.exitCode !== null);
  expect(log()).toContain("nevertwice timeline confirm");
  child.kill("SIGTERM");
  expect(await ended).toBe(0);
  const cli = async (...words: string[]): Promise<[number | null, string]> => {
    const one = run([MAIN, ...words], folder, { DATABASE_URL: db.url });
    return [await one.ended, one.log()];
  };
  expect(await cli("doctor")).toEqual([1, expect.stringContaining("Steps are paused")]);
  expect(await cli("timeline", "cofirm")).toEqual([2, expect.stringContaining("NT_USAGE")]);
  expect(await cli("timeline", "confirm")).toEqual([0, expect.stringMatching(/^confirmed \S+\/0000/)]);
  expect(await cli("doctor")).toEqual([0, expect.stringMatching(/ok +timeline: /)]);
  // Where the platform does not tell, nothing is paused, and nothing can be confirmed.
  await db.pool.query(
    "create or replace function nevertwice.current_timeline() returns text language sql as 'select null::text'",
  );
  expect(await cli("doctor")).toEqual([0, expect.stringMatching(/warning +timeline: this server does not tell/)]);
  expect(await cli("timeline", "confirm")).toEqual([1, expect.stringContaining("NT_NOT_FOUND")]);
});

describe("the shop's server", () => {
  async function listening(env: Record<string, string | undefined>): Promise<number> {
    const folder = await temporary();
    const { log, child } = run([path.resolve("examples/shop/server.ts")], folder, { DATABASE: db.url, ...env });
    await until(`it listens: ${log()}`, () => /listening on \S+:\d+/.test(log()) || child.exitCode !== null);
    return Number(/listening on \S+:(\d+)/.exec(log())?.[1]);
  }
  /** Takes the port; undefined where somebody else has it. */
  async function taken(port: number): Promise<{ port: number; free(): Promise<void> } | undefined> {
    const server = createServer();
    const at = await new Promise<number | undefined>((resolve) => {
      server.once("error", () => resolve(undefined));
      server.listen(port, () => resolve((server.address() as { port: number }).port));
    });
    const free = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
    undo.push(free);
    return at === undefined ? undefined : { port: at, free };
  }

  test("listens on PORT, else on 4800, else on a free port", async () => {
    const any = await taken(0);
    await any?.free();
    expect(await listening({ PORT: String(any?.port) })).toBe(any?.port);
    const held = await taken(4_800);
    expect(await listening({ PORT: undefined })).not.toBe(4_800);
    await held?.free();
    // Where somebody else has it there is nothing to ask.
    if (held !== undefined) expect(await listening({ PORT: undefined })).toBe(4_800);
  });
});
