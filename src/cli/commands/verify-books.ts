import { verifyBooks as verify } from "../../store/read/books.ts";
import { type Command, isSet } from "../command.ts";
import { withStore } from "../context.ts";
import { coloured, table } from "../print.ts";

export const verifyBooks: Command = {
  name: "verify-books",
  usage: "verify-books",
  about: "check that every delivery exists once and is settled once; exit 1 if not",
  flags: {},
  words: [0, 0],
  async run(given) {
    const books = await withStore(given, verify);
    const { messages, outstanding, settled, offences } = books;
    if (isSet(given, "json")) console.log(JSON.stringify(books));
    else {
      console.log(`${messages} messages, ${outstanding} deliveries outstanding, ${settled} settled`);
      if (offences.length === 0) console.log(coloured("green", "the books are right"));
      else {
        const rows = offences.map((one) => [one.rule, one.message_id, one.delivery_id, one.consumer, one.found]);
        console.log(table(["rule", "message", "delivery", "consumer", "found"], rows));
      }
    }
    return offences.length === 0 ? 0 : 1;
  },
};
