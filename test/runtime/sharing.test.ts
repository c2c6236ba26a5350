import { describe, expect, test } from "vitest";
import type { Clock } from "../../src/core/ports/clock.ts";
import { systemClock } from "../../src/runtime/system.ts";
import { none } from "../../src/sources/credentials.ts";
import { openStore } from "../../src/store/open.ts";
import { testDatabase } from "../support/instance.ts";
import { keepingLogger } from "../support/logger.ts";

const db = testDatabase();
const source = () => none({ acceptAnybody: true, key: { header: "x-id" }, topic: "t" });
const post = (id: string, tenant = "") =>
  new Request("http://x/", { method: "POST", body: "{}", headers: { "x-id": id, "x-tenant": tenant } });

describe("requests that come together", () => {
  test("share their commits", async () => {
    const nt = db.open();
    const inbox = nt.inbox("many", source());
    await nt.ready();
    const answers = await Promise.all(Array.from({ length: 400 }, (_, i) => inbox.receive(post(`many-${i}`))));
    expect(answers.every((answer) => answer.status === 202)).toBe(true);
    const commits = await db.rows("select distinct xmin::text from nevertwice.message where source = 'many'");
    expect(commits.length).toBeLessThan(40);
  });

  // Batches that wait for company cost every lone request that wait. A flush starts with the next turn of the event loop.
  test("and one that comes alone waits for no timer", async () => {
    const clock: Clock = {
      ...systemClock,
      after: (ms, callback) => (ms === 0 ? systemClock.after(0, callback) : () => {}),
    };
    const nt = db.open({ clock });
    const inbox = nt.inbox("lone", source());
    expect((await inbox.receive(post("lone"))).status).toBe(202);
  });

  // One record that the database could not take failed its whole batch, and all of it was offered again, for ever
  // (hookdeck/outpost#946). A batch that fails for one of its items is split until only that one fails.
  test("do not pay for one among them that the database cannot store", async () => {
    const nt = db.open();
    // PostgreSQL's text holds no NUL: the statement fails for all that travel with it.
    const inbox = nt.inbox("poisoned", source(), {
      tenant: (request) => (request.headers.get("x-tenant") === "bad" ? "\0" : ""),
    });
    await nt.ready();
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => inbox.receive(post(`p-${i}`, i === 20 ? "bad" : ""))),
    );
    expect(answers.map((answer) => answer.status)).toEqual(
      Array.from({ length: 50 }, (_, i) => (i === 20 ? 503 : 202)),
    );
    expect(await db.rows("select from nevertwice.message where source = 'poisoned'")).toHaveLength(49);
  });
});

// Two keys that differ in a lone surrogate alone are one key in UTF-8: the second message was taken for a copy of the first.
test("a key that UTF-8 cannot hold is refused: two of them would be one", async () => {
  const nt = db.open();
  await expect(nt.send("t", {}, { key: "a\ud800" })).rejects.toThrow("NT_OPTION");
  expect((await nt.send("t", {}, { key: "a\u{1f600}" })).kind).toBe("accepted");
});

// The first batch declared the consumers; the second, sent while that was under way, did not wait for it: sixteen messages
// were accepted before their consumer's row was there, and had no delivery.
test("what is sent in the same breath as its consumer is declared has its delivery", async () => {
  const store = await openStore(db.url, { schema: "nevertwice", logger: keepingLogger() });
  const declare = store.declare.bind(store);
  // Slower than an accept, as it is now and then.
  const slow = async (...words: Parameters<typeof declare>) => {
    await db.rows("select pg_sleep(0.3)");
    return declare(...words);
  };
  const nt = db.open({ database: Object.assign(store, { declare: slow }) });
  nt.on("same.breath", () => {});
  await nt.sendMany(Array.from({ length: 200 }, (_, i) => ({ topic: "same.breath", payload: i })));
  const owed = await db.rows(
    "select from nevertwice.delivery d join nevertwice.message m on m.id = d.message_id where m.topic = 'same.breath'",
  );
  expect(owed).toHaveLength(200);
});
