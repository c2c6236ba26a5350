/**
 * Fan-out and fan-in: a delivery that waits for its children.
 *
 * The problem: a handler hands parts of its work to other jobs and needs what they return. It may run many times (a crash, a
 * retry, a replay), its children must be enqueued once, and while it waits, for days perhaps, it must hold no worker, no
 * connection and no transaction.
 *
 * So its first run ends where it asks for them. In one transaction the delivery becomes `blocked` (the fence: the row is locked
 * and written where the claim is still this one), its children are accepted, and which they are is written down among the steps
 * of (message, consumer), under the name of the group. Either all of that is there or nothing; a second execution finds the group
 * and enqueues nothing. When all children have ended the delivery is due again, and the handler runs once more from its beginning:
 * its steps are remembered, and so is the group, whose outcomes are read from the settlements of the children.
 *
 * Who wakes it:
 * - A child's message names its parent in a header. Whoever has settled a child (completed, dead, cancelled, expired) asks *after
 *   that COMMIT*, in a statement of its own, whether any of the parent's children is still outstanding. Of two that end at the same
 *   moment, the one whose COMMIT is second sees both. `settle` knows nothing of it, and who has no parent pays nothing.
 * - Whoever has blocked a delivery asks the same after its own COMMIT: its last child may have ended since it was looked at.
 * - A process that dies between a child's COMMIT and the question leaves its parent to the fallback: a blocked row has a due time at
 *   which any worker of its consumer looks at it. So a lost answer costs at most half a minute, whatever it was that ended the child.
 *
 * A waking that comes too early does no harm (the handler finds a child outstanding, and waits again), and one that is taken back by a
 * crash of the server is made up for by the fallback: like a claim it waits for no disk.
 *
 * What it does not promise: that outcomes stand still. A dead child that is replayed is outstanding again, and who asks for it waits
 * again. And an outcome is kept as long as any history: of a child that ended `retainDays` before its last sibling nothing may be left.
 */
import { defaults } from "../core/defaults.ts";
import type { Blocking, ChildrenStore, Group, NewGroup, Waits } from "../core/ports/children.ts";
import type { Claim } from "../core/ports/store.ts";
import { texts, uuids } from "./binary.ts";
import type { Run } from "./accept.ts";
import type { Connections } from "./connections.ts";
import { resolve } from "./settle.ts";
import { begin } from "./transaction.ts";

/** Among the steps of a message; those of a handler have no space in their name. */
const PREFIX = "children ";

// group: what there is of a group. $1 message, $2 consumer, $3 step.
const GROUP = `-- group of children
select
  s.result ->> 'job' as job,
  s.result -> 'ids' as ids,
  nevertwice.children_outstanding(s.message_id, s.consumer_id, s.name) as outstanding,
  (
    select coalesce(sum(octet_length(a.result::text)), 0)::float8
    from json_array_elements_text(s.result -> 'ids') as c (id)
    join nevertwice.attempt a on a.message_id = c.id::uuid
    where a.outcome = 'completed'
  ) as result_bytes
from nevertwice.consumer c
join nevertwice.step s on s.message_id = $1::uuid and s.consumer_id = c.id and s.name = $3
where c.name = $2`;

// block: ends an execution whose delivery waits for children. Recorded for new ones, or for another reason than before.
// $1 delivery, $2 claim, $3 ran ms, $4 reruns, $5 worker, $6 reason, $7 ms until it is looked at, $8 whether there are new ones.
const BLOCK = `-- block
with now as materialized (
  select nevertwice.clock() as now
),
blocked as (
  update nevertwice.delivery d
  set
    state = 'blocked',
    claim = null,
    started = false,
    takeovers = 0,
    -- It has begun in time.
    expires_at = null,
    attempts = d.attempts - d.started::int,
    due_at = n.now + $7::float8 * interval '1 millisecond'
  from now n
  where d.id = $1::uuid and d.claim = $2::bigint
  returning d.id, d.message_id, d.consumer_id, d.attempts + 1 as attempt, n.now
),
recorded as (
  insert into nevertwice.attempt
    (message_id, delivery_id, consumer_id, attempt, reruns, claim, outcome, started_at, ended_at, worker, error)
  select b.message_id, b.id, b.consumer_id, b.attempt, $4::int, $2::bigint, 'interrupted',
    b.now - $3::float8 * interval '1 millisecond', b.now, $5, $6
  from blocked b
  where $8::boolean or not nevertwice.put_off_before(b.message_id, b.id, $6)
)
select b.consumer_id
from blocked b`;

// keep groups: who the children are. $1 message, $2 consumer id, $3 claim, $4 steps, $5 keys, $6 results.
const KEEP = `-- keep groups
insert into nevertwice.step (message_id, consumer_id, name, idempotency_key, claim, tries, started_at, ended_at, result)
select $1::uuid, $2::int, g.name, g.key, $3::bigint, 1, n.now, n.now, g.result::json
from (select nevertwice.clock() as now) n
cross join unnest($4::text[], $5::text[], $6::text[]) as g (name, key, result)`;

// wake: parents whose children have ended. $1 messages.
const WAKE = `-- wake
with setting as materialized (
  select set_config('synchronous_commit', 'off', true)
),
ended as materialized (
  select d.id
  from setting
  cross join unnest($1::uuid[]) as p (id)
  cross join lateral (
    select d.id, d.message_id, d.consumer_id
    from nevertwice.delivery d
    where d.id between nevertwice.first_delivery(p.id) and nevertwice.last_delivery(p.id)
      and d.message_id = p.id
      and d.state = 'blocked'
    offset 0
  ) d
  where not nevertwice.children_outstanding(d.message_id, d.consumer_id)
),
locked as materialized (
  select d.id
  from nevertwice.delivery d
  where d.id = any (array(select e.id from ended e))
    and d.state = 'blocked'
  order by d.id
  for update
)
update nevertwice.delivery d
set
  state = case when d.attempts = 0 then 'waiting' else 'retrying' end,
  due_at = (select nevertwice.clock())
where d.id = any (array(select l.id from locked l))
returning d.id`;

// look: the fallback, for parents at which nobody looked for long; or whose next look lies further ahead than one can (the clock was
// set back). $1 consumers, $2 ms until the next look, $3 limit.
const LOOK = `-- look at parents
with setting as materialized (
  select set_config('synchronous_commit', 'off', true), nevertwice.clock() as now
),
due as materialized (
  select d.id, d.message_id, d.consumer_id
  from nevertwice.delivery d
  where d.consumer_id = any (array(select c.id from nevertwice.consumer c where c.name = any ($1::text[])))
    and d.state = 'blocked'
    and (
      d.due_at <= (select now from setting)
      or d.due_at > (select now from setting) + ($2::float8 + 60000) * interval '1 millisecond'
    )
  order by d.due_at
  limit $3::int
  for update skip locked
),
looked as materialized (
  select u.id, not nevertwice.children_outstanding(u.message_id, u.consumer_id) as ended
  from due u
)
update nevertwice.delivery d
set
  state = case when not l.ended then 'blocked' when d.attempts = 0 then 'waiting' else 'retrying' end,
  due_at = s.now + case when l.ended then 0 else $2::float8 end * interval '1 millisecond'
from looked l, setting s
where d.id = any (array(select id from looked))
  and d.id = l.id
returning l.ended`;

// children of: all groups of messages. $1 messages.
const CHILDREN_OF = `-- children of
select c.id
from nevertwice.step s
cross join lateral json_array_elements_text(s.result -> 'ids') as c (id)
where s.message_id = any ($1::uuid[])
  and s.name like 'children %'`;

/** Messages of one statement. */
const BATCH = 500;
/** Parents of one look. */
const MOST_LOOKED = 200;

export class PostgresChildren implements ChildrenStore {
  readonly #connections: Connections;
  readonly #run: Run;

  constructor(connections: Connections) {
    this.#connections = connections;
    this.#run = (text, values) => connections.run(text, values);
  }

  async group(claim: Claim, consumer: string, name: string): Promise<Group | undefined> {
    const { rows } = await this.#run<{ job: string; ids: string[]; outstanding: boolean; result_bytes: number }>(
      GROUP,
      [claim.messageId, consumer, PREFIX + name],
    );
    return rows.map(({ result_bytes: resultBytes, ...rest }) => ({ ...rest, resultBytes }))[0];
  }

  async block(waits: Waits, groups: readonly NewGroup[], leaseMs: number, worker: string): Promise<Blocking> {
    const limits = { idleMs: leaseMs, lockMs: defaults.lockTimeoutMs, statementMs: defaults.statementDeadlineMs };
    const tx = await begin(this.#connections, limits, worker);
    const query = (text: string, values: unknown[]) => tx.query(this.#connections.placed(text), values);
    try {
      const { deliveryId, claim, messageId, ranMs, reruns, reason } = waits;
      const values = [deliveryId, claim, ranMs, reruns, worker, reason, defaults.childrenLookMs, groups.length > 0];
      const [blocked] = (await query(BLOCK, values)).rows;
      if (blocked === undefined) return { kind: "superseded" };
      const kept: string[] = [];
      for (const { job, arrivals } of groups) {
        const ids: string[] = [];
        for (let i = 0; i < arrivals.length; i += BATCH) {
          for (const put of await tx.send(arrivals.slice(i, i + BATCH))) ids.push(put.id);
        }
        kept.push(JSON.stringify({ job, ids }));
      }
      if (groups.length > 0) {
        const names = texts(groups.map((group) => PREFIX + group.name));
        const keys = texts(groups.map((group) => group.key));
        await query(KEEP, [messageId, blocked.consumer_id, claim, names, keys, texts(kept)]);
      }
      const ended = await tx.commit();
      if (ended === "committed") return { kind: "blocked" };
      if (ended === "rolled-back") throw tx.rollbackCause ?? new Error("the tag ROLLBACK");
      const found = await resolve(this.#run, [waits], leaseMs);
      if (found.kind === "committed") return { kind: "blocked" };
      if (found.kind !== "not-committed") return { kind: found.kind };
      return { kind: "again", claim: found.claims[0] as Claim };
    } finally {
      await tx.rollback();
    }
  }

  async wake(parents: readonly string[]): Promise<number> {
    return (await this.#run(WAKE, [uuids(parents)])).rows.length;
  }

  async look(consumers: readonly string[]): Promise<number> {
    for (let woken = 0; ;) {
      const values = [texts(consumers), defaults.childrenLookMs, MOST_LOOKED];
      const { rows } = await this.#run<{ ended: boolean }>(LOOK, values);
      woken += rows.filter((row) => row.ended).length;
      if (rows.length < MOST_LOOKED) return woken;
    }
  }
}

/** The children of messages, of all their groups. */
export async function childrenOf(run: Run, messageIds: readonly string[]): Promise<readonly string[]> {
  return (await run<{ id: string }>(CHILDREN_OF, [uuids(messageIds)])).rows.map((row) => row.id);
}
