// A process that works and has schedules: those of its code, and those that it sets at run time. Its clock is wrong.
import { Nevertwice } from "../../src/index.ts";
import type { Slot } from "../../src/core/schedule.ts";
import { systemClock } from "../../src/runtime/system.ts";
import { canary } from "./canaries.ts";
import { Points, report } from "./failpoints.ts";
import { chaosStore, comesUp } from "./process-setup.ts";
import { BARE, cronOf, SCHEDULES, schedulePool } from "./schedules.ts";
import { keepingLogger } from "../support/logger.ts";

const { CHAOS_LEASE_MS, CHAOS_SKEW_MS = "0", CHAOS_JITTER_MS = "0", CHAOS_CANARY } = process.env;
const logger = keepingLogger();
const points = new Points();
const place = canary(CHAOS_CANARY)?.statement ?? ((text: string) => text);
const store = await chaosStore({ schema: "nevertwice", logger, pool: (url) => schedulePool(url, points, place) });
const { decide } = store.schedules;
store.schedules.decide = async (turn, arrivals) => {
  // The ledger of keys would hide what the row lets through: here it knows none of these slots.
  const bare = BARE.test(turn.name);
  const sent = bare ? arrivals.map((one) => ({ ...one, keyHash: one.id.replaceAll("-", "") })) : arrivals;
  if (arrivals.length > 0) await points.reach("slot-due");
  const accepted = await decide.call(store.schedules, turn, sent);
  if (arrivals.length > 0 && accepted !== undefined) await points.reach("slot-committed");
  return accepted;
};

const clock = { ...systemClock, now: () => Date.now() + Number(CHAOS_SKEW_MS) };
const nt = new Nevertwice({ database: store, logger, clock, leaseMs: Number(CHAOS_LEASE_MS) });
const EFFECT =
  "insert into public.chaos_effect (message, kind, delivery, xid) values ($1, $2, $3, pg_current_xact_id()::text)";
for (const { name, job, atRunTime, everyS, zone, missed, jitterMs } of SCHEDULES) {
  const options = { cron: cronOf(everyS), zone, missed, jitterMs };
  const handler = async ({ atMs }: Slot, { tx, deliveryId }: Parameters<Parameters<typeof nt.on<Slot>>[2]>[1]) => {
    await tx.query(EFFECT, [`${name} ${atMs}`, name, deliveryId]);
  };
  if (job) nt.job<Slot>(name, { schedule: options }, handler);
  else nt.on<Slot>(name, { consumer: name }, handler);
  if (!job && !atRunTime) nt.schedule(name, options);
}
await comesUp(nt);
for (const { name, atRunTime, everyS, zone, missed } of SCHEDULES) {
  if (!atRunTime) continue;
  // Each process changes it: another jitter is another definition, and the same slots.
  const jitterMs = Number(CHAOS_JITTER_MS);
  await nt.schedules.set(name, { cron: cronOf(everyS), zone, missed, jitterMs });
}
await nt.start();
report({ ready: true });
