import { describe, expect, test } from "vitest";
import { heldClock } from "../support/clock.ts";
import { until } from "../support/database.ts";
import { testDatabase } from "../support/instance.ts";

const db = testDatabase();
const outcomes = async (topic: string): Promise<string[]> =>
  (
    await db.rows<{ outcome: string }>(
      `select a.outcome from nevertwice.attempt a join nevertwice.message m on m.id = a.message_id
       where m.topic = $1 order by a.outcome`,
      [topic],
    )
  ).map((row) => row.outcome);
const effects = async (topic: string): Promise<number> =>
  (await db.rows("select from effect where name = $1", [topic])).length;

/** Two workers, in processes as far apart as it matters here: the second took over what the first one is still running. */
async function takenOver(topic: string) {
  const running: string[] = [];
  const open = (who: string) => {
    let release = (): void => {};
    const released = new Promise<void>((resolve) => (release = resolve));
    const { clock, waits } = heldClock();
    const nt = db.open({ clock });
    nt.on(topic, async (_, { tx }) => {
      running.push(who);
      await released;
      await tx.query("insert into effect (name) values ($1)", [topic]);
    });
    return { nt, release, waits };
  };
  const first = open("first");
  await first.nt.send(topic, {});
  await first.nt.start();
  // It sleeps: no poll, no renewal and no look for leases that have ended comes between, however long this takes.
  await until("the first runs it, and sleeps", () => running.includes("first") && first.waits.includes(2_000));
  await db.pool.query("update nevertwice.delivery set due_at = clock_timestamp() - interval '1 second'");
  // It looks when it starts.
  const second = open("second");
  await second.nt.start();
  await until("the second runs it", () => running.includes("second"));
  return { first, second };
}

describe("a worker that lost its claim and does not know", () => {
  // A handler settled its own job after it had lost the claim, beside the newer execution (timgit/pg-boss#890).
  test("ends its handler: what it wrote is rolled back, and recorded as superseded; the newer one completes", async () => {
    const { first, second } = await takenOver("late-end");
    first.release();
    await until("it is superseded", async () => (await outcomes("late-end")).includes("superseded"));
    expect(await effects("late-end")).toBe(0);
    second.release();
    await until("completed", async () => (await outcomes("late-end")).includes("completed"));
    expect([await effects("late-end"), await outcomes("late-end")]).toEqual([1, ["completed", "superseded"]]);
  });

  // A stale worker's shutdown gave back, or failed, the attempt that another one was running (timgit/pg-boss#890).
  test("shuts down: the newer attempt goes on, uncounted and undisturbed", async () => {
    const { first, second } = await takenOver("late-stop");
    await first.nt.stop({ deadlineMs: 10 });
    expect(await outcomes("late-stop")).toEqual(["superseded"]);
    second.release();
    await until("completed", async () => (await outcomes("late-stop")).includes("completed"));
    expect([await effects("late-stop"), await outcomes("late-stop")]).toEqual([1, ["completed", "superseded"]]);
    first.release();
  });
});

// A redelivery reset a finished row to pending, and it ran once more (toeverything/AFFiNE#15078). The ledger leads to the
// message, whose deliveries are settled: a copy is counted, another body kept, and neither is owed to anybody.
test("a copy that comes after the work was done starts nothing", async () => {
  const nt = db.open();
  nt.on("done", async (_, { tx }) => void (await tx.query("insert into effect (name) values ('done')")));
  await nt.start();
  const { id } = await nt.send("done", { n: 1 }, { key: "k" });
  await until("completed", async () => (await outcomes("done")).length === 1);
  expect(await nt.send("done", { n: 1 }, { key: "k" })).toEqual({ id, kind: "duplicate" });
  expect(await nt.send("done", { n: 2 }, { key: "k" })).toEqual({ id, kind: "conflict" });
  expect(await db.rows("select from nevertwice.delivery")).toEqual([]);
  await nt.stop();
  expect([await effects("done"), await outcomes("done")]).toEqual([1, ["completed"]]);
});
