import { fault } from "../../core/errors.ts";
import { listConsumers, retireConsumer } from "../../store/read/consumers.ts";
import { type Command, isSet, text } from "../command.ts";
import { withStore } from "../context.ts";
import { counted, plain, table } from "../print.ts";

export const consumerCommand: Command = {
  name: "consumer",
  usage: "consumer list | consumer pause|resume|retire <name>",
  about: "the consumers and their backlog; stop one for a while; end one that no code declares any more",
  flags: {
    reason: { type: "string", value: "text", about: "why it is retired; kept in the log of each delivery it ends" },
  },
  words: [1, 2],
  async run(given) {
    const [verb, name] = given.words;
    if (verb === "list" && name === undefined) {
      const consumers = await withStore(given, listConsumers);
      if (isSet(given, "json")) for (const one of consumers) console.log(JSON.stringify(one));
      else {
        const head = ["consumer", "source", "topic", "outstanding", "dead", "late", "declared", "paused", "retired"];
        const late = (seconds: number | null): string => (seconds === null ? "-" : `${Math.round(seconds)} s`);
        console.log(
          table(
            head,
            consumers.map((one) => [
              one.name,
              one.source,
              one.topic,
              one.outstanding,
              one.dead,
              late(one.late_seconds),
              one.declared_at,
              one.paused_at,
              one.retired_at,
            ]),
          ),
        );
      }
      return 0;
    }
    if ((verb === "pause" || verb === "resume") && name !== undefined) {
      const found = await withStore(given, async (store) => {
        const done = await store.pause(name, verb === "pause");
        if (done && verb === "resume") await store.hint("cli");
        return done;
      });
      if (!found) throw unknownConsumer(name);
      if (isSet(given, "json")) console.log(JSON.stringify({ consumer: name, paused: verb === "pause" }));
      else if (verb === "pause") console.log(`paused ${plain(name)}: what it has is kept, and not begun`);
      else console.log(`resumed ${plain(name)}`);
      return 0;
    }
    if (verb === "retire" && name !== undefined) {
      const cancelled = await withStore(given, (store) =>
        retireConsumer(store, name, text(given, "reason") ?? "by hand"),
      );
      if (cancelled === undefined) throw unknownConsumer(name);
      if (isSet(given, "json")) console.log(JSON.stringify({ consumer: name, cancelled }));
      else
        console.log(
          `retired ${plain(name)}: ${counted(cancelled, "outstanding delivery", "outstanding deliveries")} cancelled`,
        );
      return 0;
    }
    throw fault("NT_USAGE", {
      expected: "consumer list, or consumer pause, resume or retire <name>",
      got: given.words.map(plain).join(" "),
    });
  },
};

function unknownConsumer(name: string): Error {
  return fault("NT_NOT_FOUND", {
    expected: "a consumer's name",
    got: plain(name),
    next: "See `nevertwice consumer list`.",
  });
}
