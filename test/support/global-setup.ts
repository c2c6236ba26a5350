import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { startEmbedded } from "../../src/store/embedded/server.ts";

/** One server for all database tests: DATABASE_URL where it is set, else an embedded one in a temporary folder. */
export default async function setup(): Promise<() => Promise<void>> {
  const given = process.env["DATABASE_URL"];
  if (given !== undefined && given !== "") {
    process.env["NT_TEST_URL"] = given;
    return async () => {};
  }
  const folder = await mkdtemp(path.join(os.tmpdir(), "nevertwice-test-"));
  const packageName = process.env["NT_EMBEDDED_PACKAGE"];
  // Two files at once, one of them a scenario of chaos with three processes of twenty connections each, and those that were killed.
  const settings = { max_connections: "300" };
  const server = await startEmbedded({ folder, settings, ...(packageName === undefined ? {} : { packageName }) });
  process.env["NT_TEST_URL"] = server.url;
  return async () => {
    await server.leave();
    await rm(path.dirname(server.dataFolder), { recursive: true, force: true });
    await rm(folder, { recursive: true, force: true });
  };
}
