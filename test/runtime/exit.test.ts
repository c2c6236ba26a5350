import { spawn } from "node:child_process";
import { expect, test } from "vitest";
import { testDatabase } from "../support/instance.ts";

const db = testDatabase();

// A handler asked to be tried again in an hour. stop() resolved, every connection was closed, and the process stayed for
// that hour: the worker's timer was never cancelled, and whoever deployed had to kill what had stopped already.
test("a process that was stopped ends, whenever the next retry is due", async () => {
  const script = `
    import { Nevertwice, RetryError } from "./src/index.ts";
    const quiet = { debug() {}, info() {}, warn() {}, error() {} };
    const nt = new Nevertwice({ database: process.argv[1], logger: quiet });
    const ran = new Promise((resolve) => {
      nt.on("later", async () => {
        resolve();
        throw new RetryError("later", { afterMs: 3_600_000 });
      });
    });
    await nt.start();
    await nt.send("later", {});
    await ran;
    await nt.stop();`;
  const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", script, db.url], { stdio: "inherit" });
  const code = await new Promise((resolve) => {
    child.once("exit", resolve);
    // The retry is due in an hour.
    setTimeout(() => child.kill("SIGKILL"), 120_000).unref();
  });
  expect(code).toBe(0);
  expect(await db.rows("select state from nevertwice.delivery")).toEqual([{ state: "retrying" }]);
});
