/**
 * Who uses a server. Each process registers under its pid and its start time (a pid alone is used again by the next
 * process), so that those that were killed can be told from those that live. Starting and stopping are done under a
 * lock that dies with its holder.
 */
import { mkdir, open, readdir, readFile, rm, unlink } from "node:fs/promises";
import { readFileSync } from "node:fs";
import path from "node:path";

/** `<pid>-<start time>`: the start time is field 22 of /proc/<pid>/stat, 0 where there is no /proc. */
function identity(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the command's name in brackets and may hold anything.
    return `${pid}-${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "0"}`;
  } catch {
    return `${pid}-0`;
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  try {
    // A zombie has ended; only its parent has not asked yet.
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return !stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z");
  } catch {
    return true;
  }
}

function lives(id: string): boolean {
  const pid = Number(id.split("-")[0]);
  return isAlive(pid) && identity(pid) === id;
}

/** Runs `work` while nobody else starts or stops this server. */
export async function locked<Result>(home: string, work: () => Promise<Result>): Promise<Result> {
  const file = path.join(home, "lock");
  const me = identity(process.pid);
  for (;;) {
    try {
      const handle = await open(file, "wx", 0o600);
      await handle.writeFile(me);
      await handle.close();
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      const holder = await readFile(file, "utf8").catch(() => "");
      // An empty file is a holder that has not written its name yet, or was killed before it could.
      const left = holder !== "" ? !lives(holder) : await isOld(file);
      if (!left || !(await removed(file, holder))) await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  try {
    return await work();
  } finally {
    await rm(file, { force: true });
  }
}

/**
 * Takes the lock from a holder that is gone. One at a time, and only after another look: of two that had both read the dead
 * holder's name, the second removed the lock that the first had made since, and both went on to start the server.
 */
async function removed(file: string, holder: string): Promise<boolean> {
  const right = `${file}.removing`;
  try {
    await (await open(right, "wx", 0o600)).close();
  } catch {
    // Whoever has it looks and removes, which takes no time; or it was killed in the middle.
    if (await isOld(right)) await unlink(right).catch(() => {});
    return false;
  }
  try {
    if ((await readFile(file, "utf8").catch(() => undefined)) === holder) await unlink(file).catch(() => {});
    return true;
  } finally {
    await rm(right, { force: true });
  }
}

async function isOld(file: string): Promise<boolean> {
  const { stat } = await import("node:fs/promises");
  const found = await stat(file).catch(() => undefined);
  return found !== undefined && Date.now() - found.mtimeMs > 2_000;
}

let uses = 0;

/** Registers one use by this process; the name to give back. */
export async function register(home: string): Promise<string> {
  const folder = path.join(home, "users");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const name = `${identity(process.pid)}-${++uses}`;
  const handle = await open(path.join(folder, name), "w", 0o600);
  await handle.close();
  return name;
}

/** Ends one use; whether anybody else is left. The marks of the dead are swept away. */
export async function unregister(home: string, name: string): Promise<boolean> {
  const folder = path.join(home, "users");
  await rm(path.join(folder, name), { force: true });
  let left = false;
  for (const other of await readdir(folder)) {
    if (lives(other.split("-").slice(0, 2).join("-"))) left = true;
    else await rm(path.join(folder, other), { force: true });
  }
  return left;
}
