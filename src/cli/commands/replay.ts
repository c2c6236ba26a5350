import { fault } from "../../core/errors.ts";
import { lowestId } from "../../core/id.ts";
import type { Store } from "../../core/ports/store.ts";
import {
  type Candidate,
  deadLetters,
  neverHad,
  newestDeliveries,
  replay as replayDeliveries,
} from "../../store/read/replay.ts";
import { findMessages } from "../../store/read/show.ts";
import { type Command, type Given, isSet, text } from "../command.ts";
import { withStore } from "../context.ts";
import { counted, plain, table } from "../print.ts";
import { moment, wholeNumber } from "../words.ts";

/** An accepting clock may be behind the database's: ids of messages received since T may begin this much earlier. */
const CLOCK_SLACK_MS = 3_600_000;

export const replay: Command = {
  name: "replay",
  usage: "replay <message or delivery id…> | --dead",
  about: "deliver again: what completed is skipped, finished steps are not run again",
  flags: {
    dead: { type: "boolean", about: "the dead letters" },
    consumer: {
      type: "string",
      value: "name",
      about: "only to this consumer; with --since, older messages it never had",
    },
    since: { type: "string", value: "time", about: "since then: 2026-11-24T10:00:00Z, or 90s, 15m, 6h, 3d ago" },
    "include-completed": {
      type: "boolean",
      about: "run again what completed: its effects through tx take place again",
    },
    reason: { type: "string", value: "text", about: "kept in the log" },
    limit: { type: "string", value: "n", about: "at most so many deliveries (default: 1000)" },
    "dry-run": { type: "boolean", about: "only say what would be done" },
  },
  words: [0, 500],
  run: (given) => withStore(given, (store) => run(given, store)),
};

async function run(given: Given, store: Store): Promise<number> {
  const candidates = await chosen(given, store);
  const again = isSet(given, "include-completed");
  const skipped = candidates.filter((one) => one.state === "outstanding" || (one.state === "completed" && !again));
  const due = candidates.filter((one) => !skipped.includes(one));
  const json = isSet(given, "json");
  if (!json) {
    for (const state of ["completed", "outstanding"]) {
      const some = skipped.filter((one) => one.state === state);
      if (some.length === 0) continue;
      console.log(`skipped, ${state} already: ${counted(some.length, "delivery", "deliveries")}`);
      console.log(
        table(
          ["message", "consumer", "delivery"],
          some.slice(0, 20).map((one) => [one.message_id, one.consumer, one.delivery_id]),
        ),
      );
    }
  }
  const dry = isSet(given, "dry-run");
  const made = dry ? [] : await replayDeliveries(store, due, text(given, "reason") ?? "by hand");
  if (json) console.log(JSON.stringify({ replayed: made, skipped, ...(dry ? { due } : {}) }));
  else if (dry) console.log(`would replay ${counted(due.length, "delivery", "deliveries")}`);
  else {
    console.log(`replayed ${counted(made.length, "delivery", "deliveries")}`);
    if (made.length > 0) {
      console.log(
        table(
          ["message", "consumer", "new delivery"],
          made.slice(0, 20).map((one) => [one.message_id, one.consumer, one.delivery_id]),
        ),
      );
    }
    if (made.length < due.length)
      console.log(`${due.length - made.length} replayed by somebody else meanwhile, or their consumer is retired`);
  }
  if (made.length > 0) await store.hint("cli");
  return 0;
}

async function chosen(given: Given, store: Store): Promise<readonly Candidate[]> {
  const consumer = text(given, "consumer");
  const limit = wholeNumber("--limit", text(given, "limit"), { least: 1, most: 10_000, otherwise: 1_000 });
  const nowMs = Date.now();
  const sinceText = text(given, "since");
  const since = sinceText === undefined ? undefined : moment("--since", sinceText, nowMs);
  if (isSet(given, "dead")) {
    if (given.words.length > 0) throw fault("NT_USAGE", { expected: "ids, or --dead", got: "both" });
    return deadLetters(store, { consumer, since, limit });
  }
  if (given.words.length === 0) {
    if (consumer !== undefined && since !== undefined) {
      return neverHad(store, { consumer, since, lowestId: lowestId(since.getTime() - CLOCK_SLACK_MS), limit });
    }
    throw fault("NT_USAGE", { expected: "ids, --dead, or --consumer with --since", got: "none of them" });
  }
  const candidates: Candidate[] = [];
  for (const named of given.words) {
    const messages = await findMessages(store, named);
    if (messages.length === 0) throw fault("NT_NOT_FOUND", { got: plain(named) });
    // A message stands for all its consumers, a delivery for its own.
    const all = await newestDeliveries(store, messages, { consumer });
    const one = all.filter((candidate) => candidate.delivery_id === named);
    if (one.length === 0 && !messages.includes(named) && named.length === 36) {
      throw fault("NT_USAGE", {
        expected: "the newest delivery of a message to a consumer",
        got: `${plain(named)}, which was replayed already`,
      });
    }
    candidates.push(...(one.length > 0 ? one : all));
  }
  return candidates;
}
