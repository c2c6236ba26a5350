// A process that works and has a schedule of every second. Run as a process of its own by schedule.test.ts. It kills itself at
// its third decision, or the first one after it that it was let make: before it is written, or when it is committed and nobody
// knows yet.
import { Nevertwice } from "../../src/index.ts";
import { systemClock } from "../../src/runtime/system.ts";
import { openStore } from "../../src/store/open.ts";
import { keepingLogger } from "./logger.ts";

const { TEST_URL = "", TEST_KILL, TEST_AHEAD_MS = "0", TEST_NAME = "" } = process.env;
const logger = keepingLogger();
const store = await openStore(TEST_URL, { schema: "nevertwice", logger });
const decide = store.schedules.decide.bind(store.schedules);
let decided = 0;
const die = (): void => void process.kill(process.pid, "SIGKILL");
store.schedules.decide = async (...words) => {
  if (words[1].length > 0 && ++decided === 3 && TEST_KILL === "before") die();
  const accepted = await decide(...words);
  if (decided >= 3 && words[1].length > 0 && TEST_KILL === "after" && accepted !== undefined) die();
  return accepted;
};
const clock = { ...systemClock, now: () => Date.now() + Number(TEST_AHEAD_MS) };
const nt = new Nevertwice({ database: store, logger, clock });
nt.schedule(TEST_NAME, { cron: "* * * * * *", zone: "Europe/Berlin", missed: "all" });
nt.on(TEST_NAME, { consumer: TEST_NAME }, async (_, { tx, message }) => {
  await tx.query("insert into effect (name) values ($1)", [message.key]);
});
await nt.start();
process.send?.("started");
process.once("disconnect", () => process.exit(0));
