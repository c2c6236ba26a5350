// A process of a rolling deploy: it accepts and works, as the old version or as the new one.
//
// Both are today's code. The old one knows all migrations but the last, declares what the first version of the handlers declares,
// and so stands for every statement of ours that was the same before the last migration.
import pg from "pg";
import { Nevertwice } from "../../src/index.ts";
import { serve } from "../../src/server/app.ts";
import { Connections } from "../../src/store/connections.ts";
import { migrate, migrations } from "../../src/store/migrate.ts";
import { keepingLogger } from "../support/logger.ts";
import { Points, report, withFailpoints } from "./failpoints.ts";
import { declare, declareNew } from "./handlers.ts";
import { chaosStore } from "./process-setup.ts";

const { CHAOS_ROLE, CHAOS_URL, CHAOS_SCHEMA = "", CHAOS_PROVIDER = "", CHAOS_LEASE_MS, CHAOS_CHANGED } = process.env;
const logger = keepingLogger();
const points = new Points();
const store = await chaosStore({ schema: CHAOS_SCHEMA, logger });
if (CHAOS_ROLE === "old") {
  store.migrate = async (mode) => {
    const pool = new pg.Pool({ connectionString: CHAOS_URL, max: 1 });
    const known = (await migrations(CHAOS_SCHEMA)).slice(0, -1);
    await migrate(new Connections(pool, CHAOS_SCHEMA, logger, false), CHAOS_SCHEMA, mode, known);
    await pool.end();
  };
}
const nt = new Nevertwice({
  database: withFailpoints(store, points),
  schema: CHAOS_SCHEMA,
  logger,
  leaseMs: Number(CHAOS_LEASE_MS),
  migrate: "auto",
});
const changed = CHAOS_CHANGED === "" ? {} : { concurrency: 3, group: false, timeoutMs: 20_000 };
const from = declare(nt, points, CHAOS_PROVIDER, changed);
if (CHAOS_ROLE === "new") declareNew(nt, from);
process.once("disconnect", () => process.exit(0));

// The first time: a process that cannot start on what it finds has failed.
await nt.start();
const serving = await serve(nt, { port: 0, host: "127.0.0.1" });
process.once("SIGTERM", () => {
  void (async () => {
    await serving.close();
    await nt.stop({ deadlineMs: 10_000 });
    process.exit(0);
  })();
});
report({ ready: true, url: serving.url });
