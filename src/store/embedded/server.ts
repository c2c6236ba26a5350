/**
 * The embedded database: a real PostgreSQL from the binaries that npm ships, for a first try, tests and small
 * installations.
 *
 * Its states, under one lock per folder:
 *   absent     no server process. Whoever starts makes the data folder if there is none, and the server.
 *   running    somebody's. Whoever starts next finds it by its state file, tries the connection, and shares it.
 *   orphaned   its users were killed. It goes on (it is a process of its own, detached), and the next start takes it over.
 * The last one to leave stops it: a fast shutdown, which writes a checkpoint, so that the next start is quick.
 *
 * What a crash leaves: a killed user, a mark that is swept away; a killed holder of the lock, a lock that is taken from
 * it; a killed server, a data folder that PostgreSQL itself recovers; a crash in the middle of initdb, a folder without
 * our mark, which is made again.
 */
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { chmod, chown, mkdir, readFile, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import os from "node:os";
import path from "node:path";
import { fault } from "../../core/errors.ts";
import { account, type Account, canReach } from "./account.ts";
import { type Binaries, findBinaries, prepareBinaries } from "./binaries.ts";
import { answers, cluster, startCluster, stopCluster } from "./cluster.ts";
import { isAlive, locked, register, unregister } from "./registry.ts";

export interface EmbeddedOptions {
  /** Where the data is kept. */
  readonly folder: string;
  /** Another version of the platform package: its name or its folder. */
  readonly packageName?: string;
  readonly settings?: Readonly<Record<string, string>>;
}

export interface EmbeddedServer {
  /** Over TCP on the loopback interface. */
  readonly url: string;
  /** Over the Unix socket; undefined where the platform has none. */
  readonly socketUrl: string | undefined;
  readonly port: number;
  readonly folder: string;
  readonly dataFolder: string;
  readonly pid: number;
  /** False: shared with another process, or taken over. */
  readonly started: boolean;
  /** Ends this use; the last one stops the server. Can be called twice. */
  leave(): Promise<void>;
}

/** What every process that shares the server must know. */
export interface State {
  readonly port: number;
  readonly password: string;
  readonly sockets: string | undefined;
}

export interface Place {
  readonly home: string;
  readonly data: string;
  readonly log: string;
  readonly account: Account | undefined;
  readonly binaries: Binaries;
  readonly settings: Readonly<Record<string, string>>;
}

const places = new WeakMap<EmbeddedServer, { place: Place; state: State }>();

/**
 * Starts the server of a folder, or joins it. Throws NT_EMBEDDED_MISSING without binaries, NT_EMBEDDED_VERSION for a
 * data folder of another major version, NT_EMBEDDED_START with the end of the log when it does not start.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedServer> {
  await mkdir(options.folder, { recursive: true });
  const folder = await realpath(options.folder);
  const { root, version } = await findBinaries(options.packageName);
  const who = await account();
  const reachable = who === undefined || ((await canReach(folder)) && (await canReach(root)));
  const home = reachable ? folder : path.join("/var/tmp", `nevertwice-${digest(folder)}`);
  await mkdir(home, { recursive: true, mode: 0o755 });
  if (!reachable) await writeFile(path.join(folder, "where.json"), `${JSON.stringify({ home })}\n`, { mode: 0o600 });
  return locked(home, async () => {
    const data = path.join(home, "postgres");
    const binaries = await prepareBinaries(root, version, home, !reachable);
    const place: Place = {
      home,
      data,
      log: path.join(home, "postgres.log"),
      account: who,
      binaries,
      settings: options.settings ?? {},
    };
    await checkVersion(data, version);
    const running = await join(place);
    const state = running ?? (await start(place));
    const use = await register(home);
    const pid = (await cluster(data))?.pid ?? 0;
    let left = false;
    const server: EmbeddedServer = {
      url: `postgres://nevertwice:${state.password}@127.0.0.1:${state.port}/nevertwice`,
      socketUrl: socketUrl(state),
      port: state.port,
      folder,
      dataFolder: data,
      pid,
      started: running === undefined,
      async leave() {
        if (left) return;
        left = true;
        await locked(home, async () => {
          if (!(await unregister(home, use))) await stopCluster(data, "SIGINT");
        });
      },
    };
    places.set(server, { place, state });
    return server;
  });
}

/**
 * Stops the server and starts it again on the same port: `fast` and `immediate` as pg_ctl means them, `kill` sends SIGKILL
 * to all of its processes. For tests of crashes.
 */
export async function restartEmbedded(server: EmbeddedServer, mode: "fast" | "immediate" | "kill"): Promise<void> {
  const known = places.get(server);
  if (known === undefined) throw fault("NT_EMBEDDED_START", { got: "a server of another process" });
  await locked(known.place.home, async () => {
    await stopCluster(known.place.data, mode === "fast" ? "SIGINT" : mode === "immediate" ? "SIGQUIT" : "SIGKILL");
    await startCluster(known.place, known.state);
  });
}

/** The state of a server that runs and lets us in. */
async function join(place: Place): Promise<State | undefined> {
  const running = await cluster(place.data);
  if (running === undefined || !isAlive(running.pid)) return undefined;
  const state = JSON.parse(await readFile(statePath(place), "utf8").catch(() => "null")) as State | null;
  if (state === null) return undefined;
  for (let waited = 0; waited < 10_000 && isAlive(running.pid); waited += 50) {
    if (await answers(state, "nevertwice")) return state;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return undefined;
}

async function start(place: Place): Promise<State> {
  const known = JSON.parse(await readFile(statePath(place), "utf8").catch(() => "null")) as State | null;
  const password = known?.password ?? randomBytes(18).toString("base64url");
  if (!(await exists(path.join(place.data, "PG_VERSION")))) await initialise(place, password);
  const state: State = { port: await freePort(), password, sockets: await socketFolder(place) };
  await startCluster(place, state);
  await writeFile(statePath(place), `${JSON.stringify(state)}\n`, { mode: 0o600 });
  return state;
}

/** Made beside its place and moved there when it is whole: a crash in the middle leaves nothing that looks finished. */
async function initialise(place: Place, password: string): Promise<void> {
  const draft = `${place.data}.draft`;
  await rm(draft, { recursive: true, force: true });
  await rm(place.data, { recursive: true, force: true });
  await mkdir(draft, { mode: 0o700 });
  const secret = `${draft}.password`;
  await writeFile(secret, password, { mode: 0o600 });
  if (place.account !== undefined) {
    await chown(draft, place.account.uid, place.account.gid);
    await chown(secret, place.account.uid, place.account.gid);
  }
  const ending = await run(place, "initdb", [
    "-D",
    draft,
    "-U",
    "nevertwice",
    "-A",
    "scram-sha-256",
    "--pwfile",
    secret,
    "-E",
    "UTF8",
    "--locale=C",
  ]);
  await rm(secret, { force: true });
  if (ending.code !== 0) throw fault("NT_EMBEDDED_START", { got: `initdb: ${ending.output.slice(-800).trim()}` });
  await rename(draft, place.data);
}

function run(
  place: Place,
  program: string,
  words: readonly string[],
): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(path.join(place.binaries.native, "bin", program), words, {
      cwd: "/",
      env: { ...process.env, ...place.binaries.environment, LC_ALL: "C" },
      stdio: ["ignore", "pipe", "pipe"],
      ...place.account,
    });
    let output = "";
    child.stdout.on("data", (chunk) => (output += String(chunk)));
    child.stderr.on("data", (chunk) => (output += String(chunk)));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output }));
  });
}

async function checkVersion(data: string, version: string): Promise<void> {
  const found = (await readFile(path.join(data, "PG_VERSION"), "utf8").catch(() => "")).trim();
  const major = version.split(".")[0] ?? "";
  if (found === "" || found === major) return;
  throw fault("NT_EMBEDDED_VERSION", {
    expected: `a data folder of PostgreSQL ${major} in ${data}`,
    got: `one of PostgreSQL ${found}`,
    next: `Install the binaries of version ${found} once more, dump the database with pg_dump, move ${data} away, start again, and load the dump.`,
  });
}

/** A socket's path may have about 107 bytes: a long folder's sockets move to the temporary folder. */
async function socketFolder(place: Place): Promise<string | undefined> {
  if (process.platform === "win32") return undefined;
  const near = path.join(place.home, "socket");
  const long = Buffer.byteLength(path.join(near, ".s.PGSQL.65535")) > 100;
  const folder = long ? path.join(os.tmpdir(), `nevertwice-${digest(place.home)}`) : near;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  if (place.account !== undefined) await chown(folder, place.account.uid, place.account.gid);
  return folder;
}

function socketUrl(state: State): string | undefined {
  if (state.sockets === undefined) return undefined;
  return `postgres://nevertwice:${state.password}@localhost:${state.port}/nevertwice?host=${encodeURIComponent(state.sockets)}`;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}

function statePath(place: Place): string {
  return path.join(place.home, "postgres.json");
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
