import { fault } from "../../core/errors.ts";
import { confirmTimeline, listTimelines } from "../../store/read/timeline.ts";
import { type Command, isSet, text } from "../command.ts";
import { withStore } from "../context.ts";
import { plain, table } from "../print.ts";

export const timeline: Command = {
  name: "timeline",
  usage: "timeline | timeline confirm",
  about: "the timelines this database has been on; confirm the current one, so that steps go on",
  flags: { note: { type: "string", value: "text", about: "what happened; kept with the confirmation" } },
  words: [0, 1],
  async run(given) {
    const [verb] = given.words;
    if (verb === undefined) {
      const timelines = await withStore(given, listTimelines);
      if (isSet(given, "json")) for (const one of timelines) console.log(JSON.stringify(one));
      else {
        const head = ["timeline", "current", "seen", "confirmed", "note"];
        const rows = timelines.map((one) => [
          one.id,
          one.current ? "yes" : "no",
          one.seen_at,
          one.confirmed_at,
          one.note,
        ]);
        console.log(table(head, rows));
      }
      return 0;
    }
    if (verb !== "confirm") {
      throw fault("NT_USAGE", { expected: "timeline, or timeline confirm", got: plain(verb) });
    }
    const confirmed = await withStore(given, (store) => confirmTimeline(store, text(given, "note")));
    if (confirmed === undefined) {
      throw fault("NT_NOT_FOUND", {
        expected: "a server that tells which timeline it is on",
        got: "none",
        next: "Nothing is paused where it cannot be known: see `nevertwice doctor`.",
      });
    }
    if (isSet(given, "json")) console.log(JSON.stringify(confirmed));
    else console.log(`confirmed ${confirmed.id}: steps go on within half a minute`);
    return 0;
  },
};
