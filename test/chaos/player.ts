import { type ChildProcess, fork } from "node:child_process";
import type { Order, Point, Report } from "./failpoints.ts";

type Hit = Extract<Report, { readonly hit: Point }>;

/** A process of the product: a worker, the server that accepts, or what a scenario has besides. */
export class Player {
  readonly role: string;
  readonly ready: Promise<string>;
  readonly #child: ChildProcess;
  readonly #onHit = new Set<(hit: Hit) => void>();
  #asked = false;
  readonly ended: Promise<void>;

  constructor(
    role: string,
    env: Record<string, string>,
    onReport: (report: Report) => void,
    onFailure: (why: string) => void,
    script = "test/chaos/process.ts",
  ) {
    this.role = role;
    this.#child = fork(script, {
      env: { ...process.env, ...env, CHAOS_ROLE: role },
      stdio: ["ignore", "inherit", "pipe", "ipc"],
    });
    let errors = "";
    this.#child.stderr?.on("data", (chunk) => (errors += String(chunk)));
    this.ended = new Promise((resolve) => {
      this.#child.once("exit", (code, signal) => {
        // By SIGKILL it ends as it should, and where it was asked to stop. By itself it never does.
        if (signal !== "SIGKILL" && signal !== "SIGTERM" && !(this.#asked && code === 0))
          onFailure(`a ${role} ended with ${code ?? signal}: ${errors.slice(-500)}`);
        resolve();
      });
    });
    this.ready = new Promise((resolve) => {
      this.#child.on("message", (report: Report) => {
        if ("ready" in report) resolve(report.url ?? "");
        if ("hit" in report) for (const told of this.#onHit) told(report);
        onReport(report);
      });
    });
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  signal(name: NodeJS.Signals): void {
    this.#asked ||= name === "SIGTERM";
    this.#child.kill(name);
  }

  order(order: Order): void {
    if (this.#child.connected) this.#child.send(order, () => {});
  }

  /** What reached the point within the time; with `of` only that message's handler is waited for. */
  async reaches(point: Point, withinMs: number, of?: string): Promise<Hit | undefined> {
    this.order({ arm: point, of });
    return new Promise((resolve) => {
      const told = (hit: Hit): void => void (hit.hit === point && end(hit));
      const timer = setTimeout(() => end(undefined), withinMs);
      const end = (hit: Hit | undefined): void => {
        clearTimeout(timer);
        this.#onHit.delete(told);
        resolve(hit);
      };
      this.#onHit.add(told);
      void this.ended.then(() => end(undefined));
    });
  }
}
