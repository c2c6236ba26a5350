// Audit log: whatever comes in is written to the log once, many in one statement, though all of it comes twice and a batch crashes.
import assert from "node:assert/strict";
import { Nevertwice, TerminalError } from "nevertwice";
import { github, signGithub } from "nevertwice/sources";
import { openDatabase } from "./shared/database.ts";

await using database = await openDatabase(
  "create table audit (event text, topic text, who text, what jsonb) -- no key: it would show what takes effect twice",
);
const secret = "a secret that GitHub knows too";

interface Push {
  readonly repository: string;
  readonly sender?: { readonly login: string };
}

const nt = new Nevertwice({ database: database.url });
const repositories = nt.inbox("github", github({ secret }));
let batches = 0;

repositories.onBatch("*", { consumer: "audit", size: 50, retry: { baseMs: 50 } }, async (members, { tx }) => {
  const rows = members.map(({ event, message }) => {
    const { sender } = event as Push;
    return { event: message.key, topic: message.topic, who: sender?.login, what: event };
  });
  await tx.query("insert into audit select * from jsonb_populate_recordset(null::audit, $1)", [JSON.stringify(rows)]);
  if (++batches === 1) throw new Error("crashed after all of them were written");
  // One that nobody can be named for is put aside as a dead letter. The others are written without it.
  for (const member of members) {
    if ((member.event as Push).sender === undefined) member.fail(new TerminalError("nobody did it"));
  }
});

/** As GitHub sends it: signed, with an id of the delivery. */
async function deliver(id: number): Promise<number> {
  const body = JSON.stringify({ repository: "tea", ...(id === 13 ? {} : { sender: { login: `user-${id % 7}` } }) });
  const headers = signGithub(body, secret, `delivery-${id}`, "push");
  const answer = await repositories.receive(new Request("http://localhost/", { method: "POST", headers, body }));
  return answer.status;
}

const ids = Array.from({ length: 120 }, (_, id) => id);
const answers = await Promise.all([...ids, ...ids].map(deliver));
await nt.start();
await database.settled();
await nt.stop();

const written = await database.rows("select event, count(*)::int as times from audit group by 1");
const dead = await database.rows("select from nevertwice.dead_letter");
const taken = answers.filter((status) => status === 202).length;
const copies = answers.filter((status) => status === 200).length;
assert.deepEqual([taken, copies], [120, 120]);
assert.equal(written.length, 119);
assert.ok(written.every((one) => one["times"] === 1));
assert.equal(dead.length, 1);
assert.ok(batches < 60, "they came in batches");
console.log(
  `audit-log: ${answers.length} came, ${copies} were copies, ${written.length} written once, ${dead.length} dead letter`,
);
