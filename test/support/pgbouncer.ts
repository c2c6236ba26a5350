import { spawn } from "node:child_process";
import { chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import os from "node:os";
import path from "node:path";
import pg from "pg";
import { account } from "../../src/store/embedded/account.ts";
import { until } from "./database.ts";

/**
 * Fewer than one instance has connections to it, so that two transactions in a row seldom meet the same session, and
 * more than a test of the conformance suite holds open at once.
 */
const SESSIONS = 5;

/** Debian's pgbouncer in transaction mode, in front of the server of a URL: a session belongs to whoever has a transaction. */
export async function startPgbouncer(server: string): Promise<{ url: string; stop(): Promise<void> }> {
  const target = new URL(server);
  const password = target.password === "" ? "" : ` password='${decodeURIComponent(target.password)}'`;
  const folder = await mkdtemp(path.join(os.tmpdir(), "nt-pgbouncer-"));
  const port = await freePort();
  const settings = path.join(folder, "pgbouncer.ini");
  await writeFile(
    settings,
    `[databases]
* = host=${target.hostname} port=${target.port || 5432} user='${decodeURIComponent(target.username)}'${password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = ${SESSIONS}
`,
    { mode: 0o600 },
  );
  // It refuses to be root, as PostgreSQL does.
  const who = await account();
  if (who !== undefined) for (const each of [folder, settings]) await chown(each, who.uid, who.gid);
  const child = spawn("pgbouncer", [settings], { ...who, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (text: Buffer) => (said += text.toString()));
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const url = new URL(server);
  url.host = `127.0.0.1:${port}`;
  await until("pgbouncer lets us in", async () => {
    if (child.exitCode !== null) throw new Error(`pgbouncer ended: ${said}`);
    return answers(url.href);
  });
  return {
    url: url.href,
    async stop() {
      child.kill("SIGTERM");
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client(url);
  client.on("error", () => {});
  try {
    await client.connect();
    await client.query("select 1");
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}
