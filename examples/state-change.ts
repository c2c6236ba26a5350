// State change: a parcel goes through its states in order, once each, though the courier's news come twice, late, and the wrong way round.
import assert from "node:assert/strict";
import { Nevertwice, SnoozeError } from "nevertwice";
import { openDatabase } from "./shared/database.ts";

await using database = await openDatabase(`
  create table parcel (id text primary key, state text not null default 'packed');
  create table told (id text, state text); -- no key: it would show what takes effect twice
  insert into parcel (id) values ('p1'), ('p2'), ('p3');
`);

const STATES = ["packed", "collected", "on the road", "delivered"] as const;

const nt = new Nevertwice({ database: database.url });

nt.on<{ parcel: string; state: (typeof STATES)[number] }>(
  "courier.news",
  { consumer: "parcel", retry: { baseMs: 50 } },
  async ({ parcel, state }, { tx, send, attempt }) => {
    const before = STATES[STATES.indexOf(state) - 1];
    const { rowCount } = await tx.query("update parcel set state = $2 where id = $1 and state = $3", [
      parcel,
      state,
      before,
    ]);
    if (rowCount === 0) {
      const { rows } = await tx.query<{ state: (typeof STATES)[number] }>("select state from parcel where id = $1", [
        parcel,
      ]);
      const now = rows[0]?.state ?? "packed";
      // The same news under another id: the ledger of keys could not know.
      if (STATES.indexOf(now) >= STATES.indexOf(state)) return;
      // The news in between is still on its way. This is no failure, so it uses up no attempt.
      throw new SnoozeError(`${state} while ${now}`, { afterMs: 50 });
    }
    // Leaves only if the change commits.
    await send("parcel.changed", { parcel, state });
    if (state === "on the road" && attempt === 1) throw new Error("crashed after the change");
  },
);

nt.on<{ parcel: string; state: string }>("parcel.*", { consumer: "tell-customer" }, ({ parcel, state }, { tx }) =>
  tx.query("insert into told values ($1, $2)", [parcel, state]),
);

await nt.start();
let news = 0;
for (const state of STATES.slice(1).toReversed()) {
  for (const parcel of ["p1", "p2", "p3"]) {
    const id = `${parcel}/${state}`;
    // Twice under one id, as after a lost answer, and once more under a new one.
    for (const key of [id, id, `${id}/again`]) await nt.send("courier.news", { parcel, state }, { key });
    news += 3;
  }
}
await database.settled();
await nt.stop();

const parcels = await database.rows("select distinct state from parcel");
const told = await database.rows("select id, state from told");
assert.deepEqual(parcels, [{ state: "delivered" }]);
assert.equal(told.length, 9);
assert.equal(new Set(told.map((one) => `${one["id"]} ${one["state"]}`)).size, 9);
console.log(`state-change: ${news} news of 3 parcels, ${told.length} changes, the customer told once of each`);
