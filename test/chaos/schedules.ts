// The schedules of the scenario, and the places around the sending of a slot at which it stops a process.
import pg from "pg";
import type { PoolLike } from "../../src/index.ts";
import type { Missed } from "../../src/core/schedule.ts";
import type { Points } from "./failpoints.ts";

export interface ChaosSchedule {
  readonly name: string;
  readonly everyS: number;
  readonly zone: string;
  readonly missed: Missed;
  readonly jitterMs: number;
  readonly job?: true;
  readonly atRunTime?: true;
}

/** Slots of these get a place of their own in the ledger each time they are sent: only the schedule's row decides. */
export const BARE = /^bare-/;

export const SCHEDULES: readonly ChaosSchedule[] = [
  { name: "bare-skip", everyS: 2, zone: "Europe/Berlin", missed: "skip", jitterMs: 0 },
  { name: "bare-once", everyS: 1, zone: "Australia/Lord_Howe", missed: "once", jitterMs: 300 },
  { name: "bare-all", everyS: 1, zone: "UTC", missed: "all", jitterMs: 500 },
  { name: "slot-all", everyS: 5, zone: "America/New_York", missed: "all", jitterMs: 0 },
  { name: "job-once", everyS: 1, zone: "Asia/Kolkata", missed: "once", jitterMs: 0, job: true },
  { name: "bare-set-all", everyS: 5, zone: "Europe/Berlin", missed: "all", jitterMs: 0, atRunTime: true },
  { name: "set-skip", everyS: 5, zone: "UTC", missed: "skip", jitterMs: 0, atRunTime: true },
];

export const cronOf = (everyS: number): string => (everyS === 1 ? "* * * * * *" : `*/${everyS} * * * * *`);

/**
 * A pool whose clients stop where they are told to: before and after the messages of a slot are sent, and when its COMMIT
 * is on its way. `place` rewrites statements, for canaries.
 */
export function schedulePool(url: string, points: Points, place: (text: string) => string): PoolLike {
  const pool = new pg.Pool({ connectionString: url, max: 20, application_name: "chaos-schedule" });
  const connect = pool.connect.bind(pool) as () => Promise<pg.PoolClient>;
  const watched = new WeakSet<pg.PoolClient>();
  return Object.assign(pool, {
    async connect() {
      const client = await connect();
      if (watched.has(client)) return client;
      watched.add(client);
      const query = client.query.bind(client) as (given: unknown) => Promise<{ rowCount: number | null }>;
      // Whether a slot is being decided on this client, and has been taken.
      let deciding = false;
      return Object.assign(client, {
        async query(given: string | { readonly text: string }) {
          const text = place(typeof given === "string" ? given : given.text);
          const placed = typeof given === "string" ? text : { ...given, text };
          if (text.startsWith("-- decide")) {
            const answer = await query(placed);
            deciding = (answer.rowCount ?? 0) > 0;
            return answer;
          }
          if (deciding && text.startsWith("-- accept")) {
            await points.reach("slot-taken");
            const answer = await query(placed);
            await points.reach("slot-sent");
            return answer;
          }
          if (!deciding || (text !== "commit" && text !== "rollback")) return query(placed);
          deciding = false;
          const ended = query(placed);
          if (text === "commit") await points.reach("slot-committing");
          return ended;
        },
      });
    },
  });
}
