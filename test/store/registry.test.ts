import type * as files from "node:fs/promises";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect, test, vi } from "vitest";
import { locked } from "../../src/store/embedded/registry.ts";

/** Called with what a read has found, before who asked for it is told. */
let onRead: (found: string) => Promise<void> | undefined = () => undefined;
vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof files>();
  const readFile = async (file: string, encoding: "utf8"): Promise<string> => {
    const found = await real.readFile(file, encoding);
    await onRead(found);
    return found;
  };
  return { ...real, readFile };
});

function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open: () => open() };
}

// The holder of a folder's lock was killed, and several starts found its lock. Two of them had read its name before either
// removed it: the second removed the lock that the first had made by then, and both made the data folder. With twenty starts it
// happened in one round of ten; here the second is told what it has read when the first is inside.
test("the lock of a killed process is taken over by one at a time", async () => {
  const home = await mkdtemp(path.join(os.tmpdir(), "nt-registry-"));
  // No process has this number: the largest is 4194304.
  const killed = "9999999-1";
  await writeFile(path.join(home, "lock"), killed);
  const [bothRead, entered] = [gate(), gate()];
  let reads = 0;
  onRead = (found) => {
    if (found !== killed) return undefined;
    reads++;
    // The first goes on when both have read, the second when the first is inside. What is read after that is read again.
    if (reads === 1) return bothRead.opened;
    if (reads > 2) return undefined;
    bothRead.open();
    return entered.opened;
  };
  let inside = 0;
  let most = 0;
  const work = async (): Promise<void> => {
    most = Math.max(most, ++inside);
    entered.open();
    // Long enough for the second to come in.
    await new Promise((resolve) => setTimeout(resolve, 200));
    inside--;
  };
  await Promise.all([locked(home, work), locked(home, work)]);
  expect([reads >= 2, most]).toEqual([true, 1]);
  expect(await readdir(home)).toEqual([]);
  await rm(home, { recursive: true, force: true });
});
