// Next.js: built and started as a user does it. What it bundles is the package as npm made it.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, expect, test } from "vitest";
import { begin, event, platformConformance, platformDatabase, signed } from "../conformance/platform.ts";
import { node, packed } from "../support/packed.ts";
import { withNext } from "../support/parts.ts";

const NEXT = path.resolve("compat/next/node_modules/next/dist/bin/next");
process.env["NEXT_TELEMETRY_DISABLED"] = "1";

withNext("Next.js", () => {
  const db = platformDatabase();
  let run = "";
  const start = (env: Record<string, string>) => ({
    program: process.execPath,
    words: [NEXT, "start", "--port", "0"],
    cwd: run,
    env,
  });
  beforeAll(() => {
    run = packed("compat/next", { ".": "examples/next", "tsconfig.json": "compat/next/tsconfig.example.json" });
    writeFileSync(path.join(run, "package.json"), '{ "private": true }');
    // The wrong way: the Pages Router with its parser.
    writeFileSync(
      path.join(run, "pages/api/parsed.ts"),
      'import { toNode } from "nevertwice/node";\nimport { payments } from "../../nt";\nexport default toNode(payments.receive);\n',
    );
    node(NEXT, "build", run);
  });

  // It ends by itself, with the code of the signal.
  const ends = [143, null] as const;
  platformConformance("Next.js", db, () => ({ ...start({ WORK: "1" }), ends, workersFirst: true }));
  platformConformance("Next.js, pages", db, () => {
    return { ...start({ WORK: "1" }), ends, workersFirst: true, path: "/api/stripe" };
  });

  test("a parsed body is a named error; a cron works on what is due, and a stranger does not", async () => {
    const { base } = await begin(start({ CRON_SECRET: "cron" }), db.url);
    const post = async (to: string) => {
      const body = event(`evt_${to}`);
      const answer = await fetch(base + to, { method: "POST", body, headers: signed(body) });
      return [answer.status, await answer.json()] as const;
    };
    const sold = () => db.rows("select from sale where event = 'evt_/hooks/stripe'");
    expect(await post("/api/parsed")).toMatchObject([500, { code: "NT_BODY_PARSED" }]);
    expect(await post("/hooks/stripe")).toMatchObject([200, { status: "accepted" }]);
    const cron = async (authorization: string) => fetch(`${base}/cron`, { headers: { authorization } });
    expect((await fetch(`${base}/cron`)).status).toBe(401);
    expect((await cron("Bearer other")).status).toBe(401);
    expect(await sold()).toHaveLength(0);
    expect(await (await cron("Bearer cron")).json()).toEqual({ ran: 1, more: false });
    expect(await sold()).toHaveLength(1);
    expect(await (await cron("Bearer cron")).json()).toEqual({ ran: 0, more: false });
  });
});
