/**
 * Parts of the machine that some suites need and not every machine has. Such a suite runs where its part is. Where it is
 * not, the suite is skipped and says why in one line; but where NT_EXPECT names the part (`NT_EXPECT=pgbouncer,postgres`),
 * a skip is a failure: a run that means to have tested something must not be green because it did not.
 *
 * A test asks for no skip but through here; test/tidy.test.ts looks for others.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";

/** NT_EXPECT may name these alone: a slip of the pen would expect nothing. */
const PARTS = ["bun", "deno", "frameworks", "next", "pgbouncer", "postgres", "prisma", "root"] as const;
type PartName = (typeof PARTS)[number];

export const expected = (process.env["NT_EXPECT"] ?? "").split(",").filter((name) => name !== "");
for (const name of expected) {
  if (!PARTS.some((one) => one === name)) throw new Error(`NT_EXPECT names ${name}; it may name ${PARTS.join(", ")}`);
}

/** `describe` for suites that need a part. `missing` tells why it is not here, and nothing where it is. */
export function part(name: PartName, missing: () => string | undefined): (title: string, suite: () => void) => void {
  const reason = missing();
  return (title, suite) => {
    if (reason === undefined) describe(title, suite);
    else if (expected.includes(name)) {
      describe(title, () => test(`has ${name}`, () => expect.unreachable(`NT_EXPECT names ${name}, and ${reason}`)));
    } else {
      // Not by console.log: the runner would put a heading of its own before each line.
      process.stderr.write(`skipped for want of ${name}, because ${reason}: ${title}\n`);
      describe(title, () => test(`needs ${name}`, ({ skip }) => skip(reason)));
    }
  };
}

export const withPgbouncer = part("pgbouncer", () =>
  spawnSync("pgbouncer", ["--version"]).status === 0 ? undefined : "no program of this name is installed",
);

/** A PostgreSQL beside the embedded one. */
export const withPostgres = part("postgres", () =>
  (process.env["DATABASE_URL"] ?? "") === "" ? "DATABASE_URL is not set" : undefined,
);

/** Under compat, because it is 277 MB. */
export const withPrisma = part("prisma", () =>
  existsSync("compat/prisma/generated/client.ts") && existsSync("compat/prisma/node_modules/@prisma/client")
    ? undefined
    : "compat/prisma is not installed (its package.json says how)",
);

// Under compat as well: together 580 MB.
const installed = (file: string) => () =>
  existsSync(path.join("compat", file)) ? undefined : `compat/${file} is not there (.ci/run shows how to install it)`;
export const DENO = "runtimes/node_modules/@deno/linux-x64-glibc/deno";
export const BUN = "runtimes/node_modules/@oven/bun-linux-x64-baseline/bin/bun";
export const withFrameworks = part("frameworks", installed("frameworks/node_modules/fastify"));
export const withNext = part("next", installed("next/node_modules/next"));
export const withDeno = part("deno", installed(DENO));
export const withBun = part("bun", installed(BUN));

export const withRoot = part("root", () => (process.getuid?.() === 0 ? undefined : "this process is not root's"));
