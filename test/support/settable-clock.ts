import type { TestDatabase } from "./instance.ts";

/** The database's clock, to be set: it goes on from there. The tables have to be there. */
export function settableClock(db: TestDatabase): { set(at: string): Promise<void>; now(): Promise<number> } {
  let made = false;
  return {
    async set(at) {
      if (!made) {
        await db.pool.query("create table if not exists public.ahead (by interval not null)");
        await db.pool.query(
          "create or replace function nevertwice.clock() returns timestamptz language sql volatile parallel safe as $$ select clock_timestamp() + coalesce((select by from public.ahead), '0') $$",
        );
      }
      made = true;
      await db.pool.query(
        "with gone as (delete from public.ahead) insert into public.ahead select $1::timestamptz - clock_timestamp()",
        [at],
      );
    },
    async now() {
      const [row] = await db.rows<{ ms: number }>(
        "select (extract(epoch from nevertwice.clock()) * 1000)::float8 as ms",
      );
      return row?.ms ?? Number.NaN;
    },
  };
}
