// User notification: a burst of comments becomes one push, a warning overtakes what waits, and what came too late is not sent.
import assert from "node:assert/strict";
import { Nevertwice } from "nevertwice";
import { openDatabase } from "./shared/database.ts";
import { ask, startProvider } from "./shared/provider.ts";

await using database = await openDatabase("create table shown (text text)");
// The push service refuses the first request.
const asked: string[] = [];
await using push = await startProvider((request, note) => {
  asked.push(note.text);
  return request === 1 ? { status: 500 } : "done";
});

interface Note {
  readonly user: string;
  readonly text: string;
}

const nt = new Nevertwice({ database: database.url });
const notify = nt.job("notify", { concurrency: 1, retry: { baseMs: 50 } }, async (note: Note, { step, tx }) => {
  await step.run("push", (tools) => ask(push.url, note, tools));
  await tx.query("insert into shown values ($1)", [note.text]);
});

/** Debounced: only the last one of a burst is sent, once half a second has passed. */
const comment = (user: string, count: number) =>
  notify.enqueue(
    { user, text: `${count} new comments` },
    { key: `comments/${user}`, delayMs: 500, unique: { while: "waiting", onConflict: "replace" } },
  );

/** Throttled: one an hour, however often it happens. */
const diskFull = (user: string) =>
  notify.enqueue({ user, text: "your disk is full" }, { key: `disk/${user}`, unique: { windowMs: 3_600_000 } });

const burst: string[] = [];
for (let count = 1; count <= 6; count++) burst.push((await comment("ada", count)).kind);
const full = await Promise.all([diskFull("ada"), diskFull("ada"), diskFull("ada")]);
const goal = await notify.enqueue({ user: "ada", text: "goal!" }, { priority: -1, expireAfterMs: 0 });
const login = { user: "ada", text: "was it you who signed in?" };
await notify.enqueue(login, { key: "login-7", priority: 2 });
// Told again by a careful sender: the same key, the same warning.
const again = await notify.enqueue(login, { key: "login-7", priority: 2 });
await nt.start();
await assert.rejects(goal.result(), { code: "NT_JOB_CANCELLED" });
await database.settled();
await nt.stop();

const shown = (await database.rows("select text from shown")).map((one) => one["text"] as string);
const pushed = [...push.effects.values()].map((note) => note.text as string);
assert.deepEqual(burst, ["accepted", ...Array.from({ length: 5 }, () => "replaced")]);
assert.deepEqual(full.map((one) => one.kind).toSorted(), ["accepted", "ignored", "ignored"]);
assert.equal(again.kind, "duplicate");
assert.deepEqual(shown.toSorted(), ["6 new comments", "was it you who signed in?", "your disk is full"]);
assert.deepEqual(pushed.toSorted(), shown.toSorted());
assert.equal(asked[0], "was it you who signed in?");
console.log(`user-notification: 12 notes, ${asked.length} requests, ${shown.length} pushed, one each`);
