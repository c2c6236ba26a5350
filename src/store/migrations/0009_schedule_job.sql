-- 0009 schedule job: a schedule that is set at run time can enqueue a job.
--
-- By a value of its own in `origin` (the job's name is its topic), not by a column: a process of the deploy before takes care of all
-- schedules of the API, and would send a plain message that no job gets, and the slot would be gone. One of another origin it passes
-- by, as one that other code declares; and `set` changes the origin with the `turn`, so that what it decided before touches no row.
alter table nevertwice.schedule
  drop constraint schedule_origin,
  add constraint schedule_origin check (origin in ('code', 'api', 'job'));
