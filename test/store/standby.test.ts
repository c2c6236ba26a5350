import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { github, signGithub } from "../../src/sources/github.ts";
import { startEmbedded } from "../../src/store/embedded/server.ts";
import { openStore } from "../../src/store/open.ts";
import { testDatabase } from "../support/instance.ts";
import { keepingLogger } from "../support/logger.ts";

const db = testDatabase();

// A URL pointed at a standby, or a primary was demoted under a running process: nothing can be written there, and a
// message that is acknowledged by anything but a primary's COMMIT is lost. The server is a real one, in recovery.
test("a standby is refused: nothing starts, nothing is acknowledged, and doctor says what to do", async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), "nt-standby-"));
  const primary = await startEmbedded({ folder });
  const store = await openStore(primary.url, { schema: "nevertwice", logger: keepingLogger() });
  await store.migrate("auto");
  await store.close();
  await primary.leave();
  await writeFile(path.join(primary.dataFolder, "standby.signal"), "");
  const standby = await startEmbedded({ folder });
  try {
    const nt = db.open({ database: standby.url });
    await expect(nt.start()).rejects.toThrow(/NT_DATABASE_STANDBY.*primary/);
    const inbox = nt.inbox("github", github({ secret: "s" }));
    const answer = await inbox.receive(
      new Request("http://x/", { method: "POST", body: "{}", headers: signGithub("{}", "s", "id", "push") }),
    );
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "5"]);
    expect(await nt.readiness()).toMatchObject({ ready: false });
    const doctor = await promisify(execFile)(process.execPath, ["src/cli/main.ts", "doctor", "--database", standby.url])
      .then(({ stdout }) => ({ code: 0, stdout }))
      .catch((error: { code: number; stdout: string }) => error);
    expect([doctor.code, doctor.stdout]).toEqual([1, expect.stringMatching(/this is a standby[\s\S]*the primary/)]);
  } finally {
    await standby.leave();
    await rm(path.dirname(primary.dataFolder), { recursive: true, force: true });
    await rm(folder, { recursive: true, force: true });
  }
});
