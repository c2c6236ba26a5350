// The examples of Express, Fastify, Hono and Nest: compiled by tsc, each a process with a real server.
import path from "node:path";
import { beforeAll } from "vitest";
import { platformConformance, platformDatabase } from "../conformance/platform.ts";
import { node, packed } from "../support/packed.ts";
import { withFrameworks } from "../support/parts.ts";

withFrameworks("frameworks", () => {
  const db = platformDatabase();
  let run = "";
  beforeAll(() => {
    const examples = ["webhooks", "express", "fastify", "hono", "nest"].map((name) => [name, `examples/${name}`]);
    run = packed("compat/frameworks", {
      ...Object.fromEntries(examples),
      "nest/on-fastify.ts": "test/platforms/programs/nest-fastify.ts",
    });
    node("node_modules/typescript/bin/tsc", "-p", "compat/frameworks");
  });

  // Nest ends with the signal it was told to end by, when its hooks have run.
  for (const [name, main, ends] of [
    ["Express", "express/server.js"],
    ["Fastify", "fastify/server.js"],
    ["Hono", "hono/server.js"],
    ["Nest", "nest/main.js", [null, "SIGTERM"]],
    ["Nest on Fastify", "nest/on-fastify.js", [null, "SIGTERM"]],
  ] as const) {
    platformConformance(name, db, () => ({
      program: process.execPath,
      words: [path.join(run, main)],
      cwd: run,
      ...(ends === undefined ? {} : { ends }),
    }));
  }
});
