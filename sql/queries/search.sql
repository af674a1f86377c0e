-- Jobs whose user or correlation id is `text`, or whose id lies from `first` to `last` (what an id begins with; null
-- for none): the newest first, at most `limit`, enqueued before the job `before`. Finished jobs have an index for each; live ones
-- are read through, as are dead letters: there are as many of those as somebody has to care for.
with found as materialized (
    (
        select j.id from jobsupervisor.job j
        where (%(before)s::uuid is null or j.id < %(before)s::uuid)
            and (j.user_id = %(text)s::text or j.correlation_id = %(text)s::text)
        order by j.id desc
        limit %(limit)s
    )
    union
    (
        select d.id from jobsupervisor.dead_letter d
        where (%(before)s::uuid is null or d.id < %(before)s::uuid)
            and (d.user_id = %(text)s::text or d.correlation_id = %(text)s::text)
        order by d.id desc
        limit %(limit)s
    )
    union
    (
        select f.id from jobsupervisor.finished_job f
        where (%(before)s::uuid is null or f.id < %(before)s::uuid) and f.user_id = %(text)s::text
        order by f.id desc
        limit %(limit)s
    )
    union
    (
        select f.id from jobsupervisor.finished_job f
        where (%(before)s::uuid is null or f.id < %(before)s::uuid) and f.correlation_id = %(text)s::text
        order by f.id desc
        limit %(limit)s
    )
    union
    (
        select j.id from jobsupervisor.job j
        where (%(before)s::uuid is null or j.id < %(before)s::uuid)
            and j.id between %(first)s::uuid and %(last)s::uuid
        order by j.id desc
        limit %(limit)s
    )
    union
    (
        select d.id from jobsupervisor.dead_letter d
        where (%(before)s::uuid is null or d.id < %(before)s::uuid)
            and d.id between %(first)s::uuid and %(last)s::uuid
        order by d.id desc
        limit %(limit)s
    )
    union
    (
        select f.id from jobsupervisor.finished_job f
        where (%(before)s::uuid is null or f.id < %(before)s::uuid)
            and f.id between %(first)s::uuid and %(last)s::uuid
        order by f.id desc
        limit %(limit)s
    )
    order by id desc
    limit %(limit)s
)
select r.id, r.kind, r.user_id, r.status, r.progress, r.attempts, r.max_attempts, r.priority, r.output_url, r.output_sha256,
    r.output_bytes, r.content_type, r.failure, r.error, r.correlation_id, r.created_at, r.run_at, r.started_at,
    r.finished_at, r.updated_at
from __public__.render_jobs r
where r.id = any(array(select f.id from found f))
order by r.id desc
