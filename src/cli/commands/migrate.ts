import { migrations } from "../../store/migrate.ts";
import { openStore } from "../../store/open.ts";
import { type Command, isSet, text } from "../command.ts";
import { database } from "../context.ts";
import { quiet } from "../log.ts";

export const migrate: Command = {
  name: "migrate",
  usage: "migrate [--print]",
  about: "create or update the tables; safe when many run it at once",
  flags: { print: { type: "boolean", about: "print the SQL instead of running it" } },
  words: [0, 0],
  async run(given) {
    const schema = text(given, "schema") ?? "nevertwice";
    if (isSet(given, "print")) {
      for (const { text: sql } of await migrations(schema)) console.log(sql);
      return 0;
    }
    const store = await openStore(database(given), { schema, logger: quiet });
    try {
      await store.inspect();
      await store.migrate("auto");
    } finally {
      await store.close();
    }
    const newest = (await migrations(schema)).at(-1)?.number ?? 0;
    console.log(
      isSet(given, "json")
        ? JSON.stringify({ schema, migration: newest })
        : `schema "${schema}" is at migration ${newest}`,
    );
    return 0;
  },
};
