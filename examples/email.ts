// E-mail sending: whoever signs up gets one welcome mail, however often the form is sent and whatever the mail service answers.
import assert from "node:assert/strict";
import { Nevertwice, RetryError, type StepTools } from "nevertwice";
import { openDatabase } from "./shared/database.ts";
import { startProvider } from "./shared/provider.ts";

await using database = await openDatabase("create table account (email text primary key)");
// Too busy for the first mail; the second one it sends, and the answer is lost.
await using mails = await startProvider((request) => {
  if (request === 1) return { status: 429, headers: { "retry-after": "1" } };
  return request === 2 ? "lost" : "done";
});

const nt = new Nevertwice({ database: database.url });
const welcome = nt.job(
  "welcome-mail",
  { retry: { maxAttempts: 5, baseMs: 100 } },
  async ({ email }: { email: string }, { step }) =>
    step.run("send", (tools) => sendMail({ to: email, subject: "Welcome" }, tools)),
);

async function sendMail(mail: object, { idempotencyKey, signal }: StepTools): Promise<void> {
  const answer = await fetch(mails.url, {
    method: "POST",
    headers: { "idempotency-key": idempotencyKey },
    body: JSON.stringify(mail),
    signal,
  });
  if (answer.status === 429) {
    // It knows better than a backoff when to come again.
    const afterMs = Number(answer.headers.get("retry-after")) * 1_000;
    throw new RetryError("the mail service is busy", { afterMs });
  }
  if (!answer.ok) throw new Error(`the mail service answered ${answer.status}`);
}

/** The account and its mail are one transaction: neither is there without the other. */
async function signUp(email: string, fails = false): Promise<string> {
  const client = await database.pool.connect();
  try {
    await client.query("begin");
    await client.query("insert into account (email) values ($1) on conflict do nothing", [email]);
    const { kind } = await welcome.enqueue({ email }, { key: email, tx: client });
    if (fails) throw new Error("the form was wrong");
    await client.query("commit");
    return kind;
  } catch {
    await client.query("rollback");
    return "rolled back";
  } finally {
    client.release();
  }
}

await nt.start();
// Ada clicks twice; so does Grace, later; Eve's form turns out to be wrong after her mail was enqueued.
const answers = await Promise.all([
  signUp("ada@example.com"),
  signUp("ada@example.com"),
  signUp("eve@example.com", true),
]);
answers.push(await signUp("grace@example.com"), await signUp("grace@example.com"));
await database.settled();
await nt.stop();

assert.deepEqual(answers.toSorted(), ["accepted", "accepted", "duplicate", "duplicate", "rolled back"]);
const sent = [...mails.effects.values()].map((mail) => mail.to as string);
assert.deepEqual(sent.toSorted(), ["ada@example.com", "grace@example.com"]);
assert.equal(mails.requests.length, 4);
console.log(`email: ${answers.length} forms, ${mails.requests.length} requests, ${sent.length} mails sent, one each`);
