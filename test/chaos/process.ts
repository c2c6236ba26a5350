// One process of the product under chaos: a worker, or the server that accepts. Told what to be by its environment.
import { Nevertwice } from "../../src/index.ts";
import { serve } from "../../src/server/app.ts";
import { openStore } from "../../src/store/open.ts";
import { PostgresStore } from "../../src/store/postgres.ts";
import { keepingLogger } from "../support/logger.ts";
import { canary } from "./canaries.ts";
import { Points, report, withFailpoints } from "./failpoints.ts";
import { declare } from "./handlers.ts";

const env = process.env as {
  CHAOS_URL: string;
  CHAOS_ROLE: string;
  CHAOS_PROVIDER: string;
  CHAOS_LEASE_MS: string;
  CHAOS_CANARY?: string;
};
const removed = canary(env.CHAOS_CANARY);
const logger = keepingLogger();
const options = { schema: "nevertwice", logger };
const points = new Points();
const pool = removed?.pool?.(env.CHAOS_URL);
const opened = pool === undefined ? await openStore(env.CHAOS_URL, options) : new PostgresStore(pool, options);
const faulty = removed?.wrap?.(opened) ?? opened;
const nt = new Nevertwice({ database: withFailpoints(faulty, points), logger, leaseMs: Number(env.CHAOS_LEASE_MS) });
declare(nt, points, env.CHAOS_PROVIDER);
process.once("disconnect", () => process.exit(0));

// A database that is away at the start is no reason to end: the harness has just killed it.
for (let tries = 0; ; tries++) {
  try {
    await nt.ready();
    break;
  } catch (error) {
    if (tries === 200) throw error;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
if (env.CHAOS_ROLE === "server") {
  const { url } = await serve(nt, { port: 0, host: "127.0.0.1" });
  report({ ready: true, url });
} else {
  await nt.start();
  report({ ready: true });
}
