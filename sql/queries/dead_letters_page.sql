-- A page of dead letters, the last to die first: at most `limit`, after the one that died at `died_at` and has the id
-- `before`, where those are not null. The index has the times, ties are few.
select d.id, d.kind, d.user_id, d.failure::text as failure, left(d.error, 400) as error, d.attempt as attempts, d.died_at
from jobsupervisor.dead_letter d
where %(died_at)s::timestamptz is null
    or (d.died_at <= %(died_at)s::timestamptz and (d.died_at, d.id) < (%(died_at)s::timestamptz, %(before)s::uuid))
order by d.died_at desc, d.id desc
limit %(limit)s
