import { spawn } from "node:child_process";
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { readFile, rename, stat, unlink } from "node:fs/promises";
import path from "node:path";
import { fault } from "../../core/errors.ts";
import { isAlive } from "./registry.ts";
import type { Place, State } from "./server.ts";

/** What PostgreSQL itself wrote about the server of a data folder. */
export async function cluster(data: string): Promise<{ pid: number } | undefined> {
  const text = await readFile(path.join(data, "postmaster.pid"), "utf8").catch(() => undefined);
  const pid = Number(text?.split("\n")[0]);
  return Number.isInteger(pid) && pid > 0 && isPostgres(pid) ? { pid } : undefined;
}

/** A pid is used again after a crash: only a process of PostgreSQL's name counts, where that can be seen. */
function isPostgres(pid: number): boolean {
  if (!isAlive(pid)) return false;
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("postgres");
  } catch {
    return true;
  }
}

/** Whether the server lets us in. */
export async function answers(state: State, database: string): Promise<boolean> {
  const { default: pg } = await import("pg");
  const client = new pg.Client({
    host: state.sockets ?? "127.0.0.1",
    port: state.port,
    user: "nevertwice",
    password: state.password,
    database,
    connectionTimeoutMillis: 2_000,
  });
  client.on("error", () => {});
  try {
    await client.connect();
    if (database === "postgres") {
      const { rows } = await client.query("select from pg_database where datname = 'nevertwice'");
      if (rows.length === 0) {
        await client.query("create database nevertwice");
        // The schema of a role's own name comes first by default, and ours has it: a table that somebody makes without a
        // schema would stand among ours.
        await client.query("alter role nevertwice set search_path = public");
      }
    }
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}

/** For a small machine. Durability is PostgreSQL's default: fsync, full_page_writes and synchronous_commit are on. */
const SETTINGS = {
  listen_addresses: "127.0.0.1",
  max_connections: "100",
  shared_buffers: "256MB",
  max_wal_size: "2GB",
  checkpoint_timeout: "15min",
  jit: "off",
  log_min_messages: "warning",
  log_checkpoints: "off",
  unix_socket_permissions: "0700",
};

/** Starts the server as a process of its own, so that it outlives a killed or interrupted parent. */
export async function startCluster(place: Place, state: State): Promise<void> {
  const settings: Record<string, string> = { ...SETTINGS, port: String(state.port), ...place.settings };
  settings["unix_socket_directories"] = state.sockets ?? "";
  const words = ["-D", place.data, ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])];
  const size = await stat(place.log).then(
    (found) => found.size,
    () => 0,
  );
  if (size > 8_000_000) await rename(place.log, `${place.log}.old`);
  await gone(place.data);
  const log = openSync(place.log, "a", 0o600);
  const child = spawn(path.join(place.binaries.native, "bin", "postgres"), words, {
    cwd: "/",
    env: { ...process.env, ...place.binaries.environment },
    stdio: ["ignore", log, log],
    detached: true,
    ...place.account,
  });
  closeSync(log);
  let ended: string | undefined;
  child.on("error", (error) => (ended = error.message));
  child.on("exit", (code, signal) => (ended = `it ended with ${signal ?? code}`));
  child.unref();
  for (const began = Date.now(); ;) {
    if (await answers(state, "postgres")) return;
    if (ended !== undefined || Date.now() - began > 60_000) {
      const text = await readFile(place.log, "utf8").catch(() => "");
      throw fault("NT_EMBEDDED_START", {
        got: `${ended ?? "no answer in a minute"}; its log ends: ${text.slice(-800).trim()}`,
      });
    }
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
}

/**
 * PostgreSQL refuses to start while the pid in its lock file answers, and a killed server answers until its parent has
 * asked for its end: that is waited for; a parent that never asks (a container without an init) is not.
 */
async function gone(data: string): Promise<void> {
  const file = path.join(data, "postmaster.pid");
  const pid = Number((await readFile(file, "utf8").catch(() => "")).split("\n")[0]);
  if (!(pid > 0) || isAlive(pid)) return;
  for (const began = Date.now(); exists(pid);) {
    if (Date.now() - began > 5_000) return unlink(file);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** SIGINT: fast shutdown; SIGQUIT: immediate; SIGKILL: all of its processes at once. Resolves when it is gone. */
export async function stopCluster(data: string, signal: "SIGINT" | "SIGQUIT" | "SIGKILL"): Promise<void> {
  const running = await cluster(data);
  if (running === undefined) return;
  const all = signal === "SIGKILL" ? [running.pid, ...children(running.pid)] : [running.pid];
  for (const pid of all) {
    try {
      process.kill(pid, signal);
    } catch {
      // It is gone already.
    }
  }
  for (const pid of all) while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 10));
}

function children(parent: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const text = readFileSync(`/proc/${pid}/stat`, "utf8");
        return Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[1]) === parent;
      } catch {
        return false;
      }
    });
}
