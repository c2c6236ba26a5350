import type { Reader } from "./reader.ts";

export interface ListedTimeline {
  readonly id: string;
  /** Null: the current one, and nothing has been held up by it yet. */
  readonly seen_at: Date | null;
  readonly confirmed_at: Date | null;
  readonly note: string | null;
  readonly current: boolean;
}

const TIMELINES = `-- list timelines: those that were seen, and the current one, seen or not
select coalesce(t.id, h.id) as id, t.seen_at, t.confirmed_at, t.note, h.id is not null as current
from nevertwice.timeline t
full join (
  select c.id
  from (select nevertwice.current_timeline() as id) c
  where c.id is not null
) h on h.id = t.id
order by t.seen_at nulls last, t.id`;

// A confirmation is not taken back, and not given twice: the first one stands.
const CONFIRM = `-- confirm timeline: the current one. $1 note
insert into nevertwice.timeline as t (id, seen_at, confirmed_at, note)
select c.id, c.now, c.now, $1::text
from (select nevertwice.current_timeline() as id, nevertwice.clock() as now) c
where c.id is not null
on conflict (id) do update
set
  confirmed_at = coalesce(t.confirmed_at, excluded.confirmed_at),
  note = case when t.confirmed_at is null then excluded.note else t.note end
returning t.id, t.seen_at, t.confirmed_at, t.note, true as current`;

/** In the order they were seen. None is `current` where the platform does not tell. */
export async function listTimelines(reader: Reader): Promise<readonly ListedTimeline[]> {
  return (await reader.query<ListedTimeline>(TIMELINES)).rows;
}

/** The current one, confirmed; undefined where the platform does not tell. */
export async function confirmTimeline(reader: Reader, note: string | undefined): Promise<ListedTimeline | undefined> {
  return (await reader.query<ListedTimeline>(CONFIRM, [note ?? null])).rows[0];
}
