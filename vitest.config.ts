import { defineConfig } from "vitest/config";

const shared = { testTimeout: 60_000, hookTimeout: 120_000, pool: "forks" as const };
const globalSetup = ["test/support/global-setup.ts"];

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      { test: { ...shared, name: "unit", include: ["test/{core,sources}/**/*.test.ts", "test/*.test.ts", "test/runtime/unit/*.test.ts"] } },
      { test: { ...shared, name: "postgres", include: ["test/{store,conformance,runtime,server,cli,examples}/*.test.ts"], globalSetup } },
      { test: { ...shared, name: "chaos", include: ["test/chaos/*.test.ts"], globalSetup } },
    ],
  },
});
