import { describe, expect, test } from "vitest";
import { runScenario, scenarios } from "./scenarios.ts";
import { caught } from "./verdict.ts";

// Small sizes of what `npm run chaos` runs at any size: enough to see that each scenario and each canary works.
const counts: Readonly<Record<string, number>> = {
  "worker-kill": 7,
  "server-kill": 3,
  "session-kill": 10,
  "pg-restart": 3,
  "commit-cut": 5,
  zombie: 4,
  "outbox-race": 8,
  "schedule-kill": 5,
  deploy: 4,
};
const canaryCounts: Readonly<Record<string, number>> = {
  ...counts,
  "pg-restart": 1,
  "commit-cut": 10,
  "session-kill": 20,
};
const url = process.env["NT_TEST_URL"];
const options = { seed: 20, url, log: () => {} };

// A second run on another server need not restart the embedded one again.
const serverOnly = (process.env["NT_SERVER_ONLY"] ?? "") !== "";
const played = Object.keys(scenarios).filter((name) => !serverOnly || scenarios[name]?.needs.embedded !== true);

describe.each(played)("%s", (scenario) => {
  test("nothing is lost, nothing takes effect twice", { timeout: 300_000 }, async () => {
    const { result, unexpected } = await runScenario({ ...options, scenario, count: counts[scenario] ?? 1 });
    expect(unexpected).toEqual([]);
    expect(result).toMatchObject({ lost: 0, doubled: 0, unexpected: 0, drained: true, faults: counts[scenario] });
    expect(result.acked).toBeGreaterThan(10);
    expect(result.effects).toBeGreaterThan(10);
  });

  // One canary of each: the rest by command, `--canary`. They prove the harness, not the server: once is enough.
  if ((process.env["DATABASE_URL"] ?? "") !== "") return;
  test(
    `the harness would have seen it: ${scenarios[scenario]?.canaries[0]}`,
    { timeout: 300_000, retry: 2 },
    async () => {
      const canary = scenarios[scenario]?.canaries[0];
      if (canary === undefined) throw new Error("a scenario without a canary proves nothing");
      const { result, unexpected } = await runScenario({
        ...options,
        scenario,
        count: canaryCounts[scenario] ?? 1,
        canary,
      });
      expect(caught(canary, result, unexpected), JSON.stringify(result)).toBe(true);
    },
  );
});
