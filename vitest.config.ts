import path from "node:path";
import { defineConfig } from "vitest/config";

// For what is stuck: longer than the patience of test/support/database.ts, whose words say more than the runner's.
const shared = { testTimeout: 300_000, hookTimeout: 300_000, pool: "forks" as const };
const globalSetup = ["test/support/global-setup.ts"];
// The examples import nevertwice by its own name; tests run them on the source.
const alias = {
  "nevertwice/sources": path.resolve("src/sources/all.ts"),
  "nevertwice/fastify": path.resolve("src/server/fastify.ts"),
  "nevertwice/node": path.resolve("src/server/node.ts"),
  "nevertwice/server": path.resolve("src/server/app.ts"),
  "nevertwice/embedded": path.resolve("src/store/embedded/server.ts"),
  nevertwice: path.resolve("src/index.ts"),
};

const DEMO = "test/examples/demo.test.ts";
/** They start servers of their own: on another DATABASE_URL they are the same once more. */
const EMBEDDED = ["test/store/embedded.test.ts", "test/store/registry.test.ts", "test/store/standby.test.ts"];
/** Once is enough: what differs is the platform, not the server. */
const PLATFORMS = ["test/platforms/*.test.ts"];
// Set by .ci/run for its second run, and by nobody else: only what reaches the server of DATABASE_URL.
const serverOnly = (process.env["NT_SERVER_ONLY"] ?? "") !== "";

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      {
        test: {
          ...shared,
          name: "unit",
          include: serverOnly
            ? []
            : ["test/{core,sources}/**/*.test.ts", "test/*.test.ts", "test/runtime/unit/*.test.ts"],
        },
      },
      {
        test: {
          ...shared,
          name: "postgres",
          include: ["test/{store,conformance,orm,runtime,server,cli,examples,platforms}/*.test.ts"],
          exclude: [DEMO, ...(serverOnly ? [...EMBEDDED, ...PLATFORMS] : [])],
          globalSetup,
        },
        resolve: { alias },
      },
      { test: { ...shared, name: "chaos", include: ["test/chaos/*.test.ts"], globalSetup }, resolve: { alias } },
      // It promises a time on two cores: it has them to itself, after the others.
      { test: { ...shared, name: "demo", include: serverOnly ? [] : [DEMO], sequence: { groupOrder: 1 } } },
    ],
  },
});
