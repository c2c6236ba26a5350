import { fault } from "../../core/errors.ts";
import { isUuid } from "../../core/id.ts";
import { nearest } from "../../core/nearest.ts";
import { type ListedMessage, listMessages } from "../../store/read/list.ts";
import { type Command, isSet, text } from "../command.ts";
import { withStore } from "../context.ts";
import { coloured, table } from "../print.ts";
import { wholeNumber } from "../words.ts";

const STATES = ["outstanding", "dead", "completed", "duplicate"] as const;

export const list: Command = {
  name: "list",
  usage: "list [--state outstanding|dead|completed|duplicate]",
  about: "the messages, newest first, and where each stands",
  flags: {
    source: { type: "string", value: "name", about: "only of this source" },
    topic: { type: "string", value: "topic", about: "only of this topic" },
    key: { type: "string", value: "key", about: "only under this key" },
    state: { type: "string", value: "state", about: "outstanding, dead, completed, or duplicate (came again)" },
    limit: { type: "string", value: "n", about: "at most so many, up to 1000 (default: 20)" },
    before: { type: "string", value: "id", about: "the next page: older than this message" },
  },
  words: [0, 0],
  async run(given) {
    const state = STATES.find((one) => one === text(given, "state"));
    const asked = text(given, "state");
    if (asked !== undefined && state === undefined) {
      const near = nearest(asked, STATES);
      throw fault("NT_USAGE", {
        expected: `--state ${STATES.join("|")}`,
        got: asked,
        ...(near ? { next: `Did you mean ${near}?` } : {}),
      });
    }
    const before = text(given, "before");
    if (before !== undefined && !isUuid(before))
      throw fault("NT_USAGE", { expected: "--before <message id>", got: before });
    const limit = wholeNumber("--limit", text(given, "limit"), { least: 1, most: 1_000, otherwise: 20 });
    const { source, topic, key } = {
      source: text(given, "source"),
      topic: text(given, "topic"),
      key: text(given, "key"),
    };
    const messages = await withStore(given, (store) =>
      listMessages(store, { source, topic, key, state, before, limit }),
    );
    if (isSet(given, "json")) {
      for (const message of messages) console.log(JSON.stringify(message));
      return 0;
    }
    if (messages.length === 0) {
      console.log("no messages");
      return 0;
    }
    const rows = messages.map((one) => [one.id, one.received_at, one.source, one.topic, one.key, standing(one)]);
    console.log(table(["id", "received", "source", "topic", "key", "stands"], rows));
    if (messages.length === limit)
      console.log(coloured("dim", `older: nevertwice list --before ${messages.at(-1)?.id}`));
    return 0;
  },
};

/** Where a message stands, in a few words. */
function standing(one: ListedMessage): string {
  const parts = [
    one.outstanding > one.blocked ? `${one.outstanding - one.blocked} outstanding` : "",
    one.blocked > 0 ? `${one.blocked} waits for its children` : "",
    one.completed > 0 ? `${one.completed} completed` : "",
    one.dead > 0 ? `${one.dead} dead` : "",
    one.cancelled > 0 ? `${one.cancelled} cancelled` : "",
    one.duplicates > 0 ? `came ${one.duplicates + 1} times` : "",
    one.conflicts > 0 ? `${one.conflicts} with another body` : "",
    one.suspected_replay_of === null ? "" : "suspected replay",
  ].filter((part) => part !== "");
  return parts.join(", ") || "no consumer takes it";
}
