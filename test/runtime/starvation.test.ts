import { expect, test } from "vitest";
import { until } from "../support/database.ts";
import { testDatabase } from "../support/instance.ts";

const db = testDatabase();

// A heap of failures that are due again starved what came fresh elsewhere: retries were claimed in the order they fell due,
// before anything younger. First attempts are claimed first.
test("ten thousand jobs that are due to be tried again keep a good one waiting for less than a second", async () => {
  const nt = db.open();
  let failed = 0;
  const heard = new Map<string, number>();
  const job = nt.job<{ good?: string }, void>(
    "mixed",
    { retry: { baseMs: 3_600_000, maxMs: 3_600_000 } },
    async (input) => {
      if (input.good !== undefined) {
        heard.set(input.good, Date.now());
        return;
      }
      // As long as it takes to find out that a provider is down.
      await new Promise((resolve) => setTimeout(resolve, 20));
      failed++;
      throw new Error("the provider is down");
    },
  );
  await job.enqueueMany(Array.from({ length: 10_000 }, () => ({ input: {} })));
  await db.rows(
    "update nevertwice.delivery set state = 'retrying', attempts = 1, due_at = due_at - interval '1 minute'",
  );
  await nt.start();
  await until("the retries have begun", () => failed > 20);
  for (const good of ["one", "two", "three"]) {
    const dueAt = Date.now() + 300;
    await job.enqueue({ good }, { runAt: new Date(dueAt) });
    await until(`${good} ran`, () => heard.has(good));
    expect((heard.get(good) ?? Infinity) - dueAt).toBeLessThan(1_000);
  }
  const [left] = await db.rows<{ n: number }>(
    "select count(*)::int as n from nevertwice.delivery where state = 'retrying' and due_at < clock_timestamp()",
  );
  // Else they did not compete.
  expect(left?.n).toBeGreaterThan(1_000);
});
