// The processes of the demo: server, workers, the provider, the handler by hand. Each is a process of its own.
import { type ChildProcess, fork } from "node:child_process";
import { openSync } from "node:fs";
import { fileURLToPath } from "node:url";

const CHILD = new URL("child.ts", import.meta.url).href;

export interface Running {
  readonly url: string;
  kill(): void;
  stop(): Promise<void>;
}

const all = new Set<Running>();

/** Starts a program of the examples and waits until it says that it is ready. What it prints goes to a file. */
export function startProcess(program: string, env: NodeJS.ProcessEnv, logFile: string): Promise<Running> {
  const log = openSync(logFile, "a");
  const child = fork(fileURLToPath(new URL(`../${program}.ts`, import.meta.url)), {
    env: { ...process.env, ...env },
    execArgv: ["--import", CHILD],
    stdio: ["ignore", log, log, "ipc"],
  });
  const running: Running = {
    url: "",
    kill: () => void child.kill("SIGKILL"),
    stop: () => ended(child, "SIGTERM"),
  };
  all.add(running);
  child.once("exit", () => all.delete(running));
  return new Promise((resolve, reject) => {
    child.once("exit", (code) =>
      reject(new Error(`${program} ended with ${code} before it was ready; see ${logFile}`)),
    );
    child.once("message", (message: { url?: string }) => resolve(Object.assign(running, { url: message.url ?? "" })));
  });
}

/** Ends all of them; the ones that do not end in time are killed. */
export async function stopProcesses(): Promise<void> {
  await Promise.all([...all].map((running) => running.stop()));
}

function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill("SIGKILL"), 8_000);
    child.once("exit", () => {
      clearTimeout(timer);
      resolve();
    });
    child.kill(signal);
  });
}
