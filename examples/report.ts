// Report generation: one report a slot, though two processes keep the schedule, and one render, though the upload fails after it.
import assert from "node:assert/strict";
import { type Job, Nevertwice } from "nevertwice";
import * as v from "valibot";
import { openDatabase } from "./shared/database.ts";
import { ask, startProvider } from "./shared/provider.ts";

await using database = await openDatabase(`
  create table sale (day date, cents int);
  insert into sale values ('2026-11-23', 1200), ('2026-11-23', 800);
  create table report (name text, cents int, file int); -- no key: it would show what takes effect twice
`);
// The file store: out of order for the first upload.
await using files = await startProvider((request) => (request === 1 ? { status: 503 } : "done"));
let renders = 0;

/** The same code runs in every process. */
function office(): { nt: Nevertwice; onDemand: Job<{ day: string }, number> } {
  const nt = new Nevertwice({ database: database.url });
  const onDemand = nt.job(
    "report",
    { input: v.object({ day: v.pipe(v.string(), v.isoDate()) }), retry: { baseMs: 50 }, timeoutMs: 300_000 },
    async ({ day }, { step, tx, progress }) => {
      // Slow work is a step too: what is finished is kept when a later one fails.
      const { cents, text } = await step.run("render", () => render(day));
      await progress(0.5, "rendered");
      const file = await step.run("upload", (tools) => ask(files.url, { text }, tools));
      await tx.query("insert into report values ($1, $2, $3)", [day, cents, file]);
      return file;
    },
  );
  // In real life: cron "0 2 * * *". Here every second is a night.
  nt.job(
    "nightly",
    { schedule: { cron: "* * * * * *", zone: "Europe/Berlin", input: (slot) => ({ night: slot.at }) } },
    ({ night }: { night: string }, { tx }) => tx.query("insert into report (name) values ($1)", [night]),
  );
  return { nt, onDemand };
}

async function render(day: string): Promise<{ cents: number; text: string }> {
  renders++;
  const [sum] = await database.rows("select sum(cents)::int as cents from sale where day = $1", [day]);
  return { cents: sum?.["cents"], text: `${day}: ${sum?.["cents"] / 100} EUR` };
}

const offices = [office(), office()] as const;
await Promise.all(offices.map(({ nt }) => nt.start()));
// Two people ask for the same report at once, and both wait for it.
const asked = await Promise.all(
  offices.map(({ onDemand }) => onDemand.enqueue({ day: "2026-11-23" }, { key: "2026-11-23" })),
);
const given = await Promise.all(asked.map((one) => one.result({ timeoutMs: 30_000 })));
const nights = () => database.rows("select name from report where name like '%Z'");
while ((await nights()).length < 2) await new Promise((resolve) => setTimeout(resolve, 50));
await Promise.all(offices.map(({ nt }) => nt.stop()));

const reports = await database.rows("select * from report where name = '2026-11-23'");
const slots = (await nights()).map((one) => one["name"] as string);
assert.deepEqual(asked.map((one) => one.kind).toSorted(), ["accepted", "duplicate"]);
assert.deepEqual(given, [1, 1]);
assert.deepEqual(reports, [{ name: "2026-11-23", cents: 2_000, file: 1 }]);
assert.deepEqual([renders, files.requests.length, files.effects.size], [1, 2, 1]);
assert.equal(new Set(slots).size, slots.length);
console.log(
  `report: asked for ${asked.length} times, rendered ${renders} time, uploaded once; each night has one report`,
);
