import { spawn } from "node:child_process";
import { describe, expect, test } from "vitest";

/** The runner on a suite whose part is nowhere. */
async function run(expected: string): Promise<{ code: number | null; out: string; err: string }> {
  const words = ["node_modules/vitest/vitest.mjs", "run", "--root", "test/support/absent", "--no-color"];
  const child = spawn(process.execPath, words, { env: { ...process.env, NT_EXPECT: expected } });
  const said = { out: "", err: "" };
  child.stdout.on("data", (text: Buffer) => (said.out += text.toString()));
  child.stderr.on("data", (text: Buffer) => (said.err += text.toString()));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, ...said };
}

describe("a suite whose part is not here", () => {
  test("is skipped, and says why in one line", async () => {
    const { code, out, err } = await run("");
    expect(err).toBe("skipped for want of pgbouncer, because it was taken away for this test: what needs it\n");
    expect(out).toMatch(/Tests\s+1 skipped \(1\)/);
    expect(code).toBe(0);
  });

  test("fails where NT_EXPECT names the part", async () => {
    const { code, out, err } = await run("postgres,pgbouncer");
    expect(err).toContain("NT_EXPECT names pgbouncer, and it was taken away for this test");
    expect(out).toMatch(/Tests\s+1 failed \(1\)/);
    expect(code).toBe(1);
  });

  test("is skipped where NT_EXPECT names other parts alone", async () => {
    expect((await run("postgres")).code).toBe(0);
  });

  test("fails where NT_EXPECT names what is no part: a slip of the pen expects nothing", async () => {
    const { code, err } = await run("pgbuoncer");
    expect(err).toContain("NT_EXPECT names pgbuoncer; it may name ");
    expect(code).toBe(1);
  });
});
