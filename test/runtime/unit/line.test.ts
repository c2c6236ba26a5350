import { expect, test } from "vitest";
import type { Claimed } from "../../../src/core/ports/store.ts";
import { JOBS } from "../../../src/core/topic.ts";
import { consumer } from "../../../src/runtime/consumer.ts";
import { Line } from "../../../src/runtime/line.ts";
import { systemClock } from "../../../src/runtime/system.ts";

// With one bound for all, what waits on a lower level since an hour ago would be skipped as soon as something newer was claimed
// on a higher one, and found again by the sweep alone, once a second.
test("a claim's bound is that of its priority alone", () => {
  const line = new Line(
    consumer(JOBS, "ranked", {}, () => {}),
    {} as never,
    systemClock,
  );
  const claimed = (priority: number, dueAt: number): Claimed => ({ consumer: "ranked", priority, dueAt }) as Claimed;
  line.claimed([claimed(2, 5_000), claimed(2, 5_001), claimed(0, 1_000)], 3);
  expect(Object.fromEntries(line.dueFrom)).toEqual({ 0: 1_000, 2: 5_001 });
  line.claimed([claimed(0, 1_200)], 3);
  expect(Object.fromEntries(line.dueFrom)).toEqual({ 0: 1_200, 2: 5_001 });
});
