import { describe, expect, test } from "vitest";
import { arrival, ownParcel } from "../../src/runtime/arrival.ts";
import { systemClock, systemRandom } from "../../src/runtime/system.ts";
import { openStore } from "../../src/store/open.ts";
import { heldClock } from "../support/clock.ts";
import { until } from "../support/database.ts";
import { testDatabase } from "../support/instance.ts";
import { keepingLogger } from "../support/logger.ts";

const db = testDatabase();

describe("a worker with nothing to do", () => {
  // A stalled-job checker woke a serverless database every 30 s, for ever (taskforcesh/bullmq#4632).
  test("looks ever more rarely, down to once a minute, and is at work at once when there is something", async () => {
    const { clock, waits, pass } = heldClock();
    const nt = db.open({ clock });
    let ran = 0;
    nt.on("rare", () => void ran++);
    await nt.start();
    const polls = () => waits.filter((ms) => ms % 5_000 === 0 && ms <= 60_000 && ms !== 1_000);
    for (let i = 1; i <= 6; i++) {
      await until("it sleeps", () => polls().length >= i);
      pass();
    }
    expect(polls().slice(0, 6)).toEqual([5_000, 10_000, 20_000, 40_000, 60_000, 60_000]);
    await nt.send("rare", {});
    await until("it ran", () => ran === 1);
  });

  // A queue that had nothing to do grew by a gigabyte (wasp-lang/wasp#2313): its maintenance rewrote rows at every turn. Ours
  // marks its consumers as declared once a minute, which is held here, and that is all.
  test("writes nothing", async () => {
    const nt = db.open({ clock: heldClock().clock });
    nt.on("nothing", () => {});
    await nt.start();
    const store = await nt.ready();
    await store.tidy({ dedupeDays: 45, retainDays: 45 });
    await db.pool.query(
      `create table written (what text);
       create function note() returns trigger language plpgsql as $$ begin insert into public.written values (tg_table_name); return null; end $$;
       do $$ declare t regclass; begin
         for t in select c.oid from pg_class c where c.relnamespace = 'nevertwice'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition loop
           execute format('create trigger note after insert or update or delete on %s for each row execute function public.note()', t);
         end loop;
       end $$`,
    );
    for (let i = 0; i < 20; i++) {
      await store.hint("test");
      await store.claim([{ consumer: "nothing", limit: 10, dueFrom: undefined }], 10_000);
      await store.takeOver(["nothing"], 10_000, "w");
      await store.nextDueMs(["nothing"]);
      await store.tidy({ dedupeDays: 45, retainDays: 45 });
    }
    expect(await db.rows("select what from written")).toEqual([]);
  });
});

describe("what nobody was told of", () => {
  // The message was committed, the push to the queue was lost with its process, and nothing ever looked for it (Svix, by
  // reading; LanternOps/breeze#4095). A notification is a hint; the deliveries themselves are looked for.
  test("is found by the next poll", async () => {
    const { clock, waits, pass } = heldClock();
    const nt = db.open({ clock });
    let ran = 0;
    nt.on("silent", () => void ran++);
    await nt.start();
    await until("it sleeps", () => waits.includes(5_000));
    const store = await openStore(db.url, { schema: "nevertwice", logger: keepingLogger() });
    await store.accept([arrival(ownParcel("silent", {}, {}), systemClock, systemRandom)]);
    await store.close();
    pass();
    await until("it ran", () => ran === 1);
  });

  // A next attempt was written into the past, behind what had been looked at already, and never picked up
  // (frain-dev/convoy#1667); a cursor `id > last_seen` loses what commits late in the same way. A claim begins where the last one
  // ended, and every second at the very start.
  test("is found when it is due before what was claimed last", async () => {
    const nt = db.open();
    const ran: string[] = [];
    nt.on("behind", (event: string) => void ran.push(event));
    await nt.start();
    await nt.send("behind", "first");
    await until("the first ran", () => ran.length === 1);
    await nt.send("behind", "late", { delayMs: 3_600_000 });
    await db.pool.query("update nevertwice.delivery set due_at = clock_timestamp() - interval '1 hour'");
    await until("the late one ran", async () => {
      // Work that keeps it claiming from where it ended.
      await nt.send("behind", "more");
      return ran.includes("late");
    });
  });
});

// 202 was answered while the worker stood still, and nobody noticed (svix/svix-webhooks#1511).
test("a worker that has stopped going round is told by readiness", async () => {
  const { clock, waits, jump } = heldClock();
  const nt = db.open({ clock });
  nt.on("still", () => {});
  await nt.start();
  await until("it sleeps", () => waits.includes(5_000));
  expect(await nt.readiness()).toEqual({ ready: true, database: "answers", worker: "works" });
  jump(130_000);
  expect(await nt.readiness()).toEqual({ ready: false, database: "answers", worker: "stands still" });
});
