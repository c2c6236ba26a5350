/**
 * What is asked and done about single jobs from outside their execution: their outcome, their end by hand, what they tell on
 * their way.
 */
import type { Cancelled, Claim, Outcome } from "../core/ports/store.ts";
import type { Run } from "./accept.ts";
import { uuids } from "./binary.ts";
import { childrenOf } from "./children.ts";

// outcomes: how messages with one consumer ended, by their newest settlement. $1 messages.
const OUTCOMES = `-- outcomes
select
  m.id,
  exists (
    select
    from nevertwice.delivery d
    where d.id between nevertwice.first_delivery(m.id) and nevertwice.last_delivery(m.id) and d.message_id = m.id
  ) as outstanding,
  a.outcome,
  json_build_array(a.result) as result,
  a.error
from unnest($1::uuid[]) as m (id)
left join lateral (
  select a.outcome, a.result, a.error
  from nevertwice.attempt a
  where a.message_id = m.id and a.outcome in ('completed', 'dead', 'cancelled')
  order by a.ended_at desc
  limit 1
) a on true`;

// cancel: ends what is outstanding of messages by hand; whose children they were is to be told. $1 messages, $2 reason,
// $3 lock_timeout in ms.
const CANCEL = `-- cancel message
with setting as materialized (
  select set_config('lock_timeout', $3, true)
),
picked as materialized (
  select d.id
  from setting
  cross join unnest($1::uuid[]) as m (id)
  cross join lateral (
    select d.id
    from nevertwice.delivery d
    where d.id between nevertwice.first_delivery(m.id) and nevertwice.last_delivery(m.id)
      and d.message_id = m.id
    offset 0
  ) d
)
select
  c.ran,
  (select m.headers ->> 'parent' from nevertwice.message m where m.id = c.message_id and m.source = 'job') as parent
from nevertwice.cancel_deliveries(array(select p.id from picked p), $2::text) c`;

// note: what a running handler tells. $1 delivery, $2 claim, $3 message, $4 progress, $5 line.
const NOTE = `-- note
insert into nevertwice.note (message_id, delivery_id, claim, noted_at, progress, line)
select $3::uuid, $1::uuid, $2::bigint, nevertwice.clock(), $4::real, $5::text
from (
  select
  from nevertwice.delivery d
  where d.id = $1::uuid and d.claim = $2::bigint
  for share
) f
returning claim`;

// pause: what a consumer has is kept and not claimed until it is resumed. $1 name, $2 whether.
const PAUSE = `-- pause
update nevertwice.consumer c
set paused_at = case when $2::boolean then coalesce(c.paused_at, nevertwice.clock()) end
where c.name = $1 and c.retired_at is null
returning c.id`;

/** Messages of one statement. */
const MOST_CANCELLED = 1_000;

interface OutcomeRow {
  readonly id: string;
  readonly outstanding: boolean;
  readonly outcome: "completed" | "dead" | "cancelled" | null;
  readonly result: readonly [unknown];
  readonly error: string | null;
}

/** By message, in any order; an outstanding delivery (a replay, say) counts more than what was settled before. */
export async function outcomes(run: Run, messageIds: readonly string[]): Promise<ReadonlyMap<string, Outcome>> {
  const { rows } = await run<OutcomeRow>(OUTCOMES, [uuids(messageIds)]);
  return new Map(rows.map((row) => [row.id, outcomeOf(row)]));
}

function outcomeOf({ outstanding, outcome, result, error }: OutcomeRow): Outcome {
  if (outstanding) return { kind: "outstanding" };
  if (outcome === null) return { kind: "unknown" };
  return outcome === "completed" ? { kind: outcome, result: result[0] } : { kind: outcome, error: error ?? "" };
}

/** With `children` also what is outstanding of its children, and of theirs. */
export async function cancelMessage(
  run: Run,
  messageId: string,
  reason: string,
  children: boolean,
): Promise<Cancelled> {
  const own = await cancelAll(run, [messageId], `cancelled: ${reason}`);
  const ends: Ended[] = [own];
  for (let parents: readonly string[] = [messageId]; children && parents.length > 0;) {
    parents = await childrenOf(run, parents);
    for (let i = 0; i < parents.length; i += MOST_CANCELLED) {
      ends.push(await cancelAll(run, parents.slice(i, i + MOST_CANCELLED), `cancelled with its parent: ${reason}`));
    }
  }
  const told = ends.flat();
  const parents = new Set(told.flatMap(({ parent }) => (parent === null ? [] : [parent])));
  return { cancelled: own.length, ran: told.some((row) => row.ran), parents: [...parents] };
}

type Ended = readonly { readonly ran: boolean; readonly parent: string | null }[];

async function cancelAll(run: Run, messageIds: readonly string[], reason: string): Promise<Ended> {
  return (await run<Ended[number]>(CANCEL, [uuids(messageIds), reason, "5000"])).rows;
}

/** False when the claim is no longer current. */
export async function note(run: Run, claim: Claim, progress: number, line: string | undefined): Promise<boolean> {
  const values = [claim.deliveryId, claim.claim, claim.messageId, progress, line ?? null];
  return (await run(NOTE, values)).rows.length > 0;
}

/** False when there is no such consumer. */
export async function pauseConsumer(run: Run, name: string, paused: boolean): Promise<boolean> {
  return (await run(PAUSE, [name, paused])).rows.length > 0;
}
