// A worker whose handler kills the process on one message. Run as a process of its own by stop.test.ts.
import { Nevertwice } from "../../src/index.ts";
import { keepingLogger } from "./logger.ts";

const nt = new Nevertwice({ database: process.env["TEST_URL"], logger: keepingLogger() });
nt.on<{ i: number }>("mine", { consumer: "mine", retry: { maxAttempts: 2 } }, async ({ i }, { tx }) => {
  if (i === 7) process.kill(process.pid, "SIGKILL");
  await tx.query("insert into effect (name, n) values ('mine', $1)", [i]);
});
await nt.start();
