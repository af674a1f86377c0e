-- A page of jobs, newest first, as applications see them: at most `limit`, enqueued before the job `before`, of one status,
-- kind, tenant or correlation id where those are not null. Ids are ordered by time, so each table is read along its key
-- and no further than the page goes; a filter that few jobs pass reads further, up to the session's statement_timeout.
with page as materialized (
    (
        select j.id from jobsupervisor.job j
        where (%(before)s::uuid is null or j.id < %(before)s::uuid)
            and (%(status)s::text is null or %(status)s::text in ('queued', 'processing'))
            and (%(status)s::text is null or %(status)s::text = case j.state when 'processing' then 'processing' else 'queued' end)
            and (%(kind)s::text is null or j.kind = %(kind)s::text)
            and (%(user_id)s::text is null or j.user_id = %(user_id)s::text)
            and (%(correlation_id)s::text is null or j.correlation_id = %(correlation_id)s::text)
        order by j.id desc
        limit %(limit)s
    )
    union all
    (
        select f.id from jobsupervisor.finished_job f
        where (%(before)s::uuid is null or f.id < %(before)s::uuid)
            -- The list first: where it is not this table's, nothing of it is read.
            and (%(status)s::text is null or %(status)s::text in ('completed', 'cancelled'))
            and (%(status)s::text is null or %(status)s::text = f.status::text)
            and (%(kind)s::text is null or f.kind = %(kind)s::text)
            and (%(user_id)s::text is null or f.user_id = %(user_id)s::text)
            and (%(correlation_id)s::text is null or f.correlation_id = %(correlation_id)s::text)
        order by f.id desc
        limit %(limit)s
    )
    union all
    (
        select d.id from jobsupervisor.dead_letter d
        where (%(before)s::uuid is null or d.id < %(before)s::uuid)
            and (%(status)s::text is null or %(status)s::text = 'failed')
            and (%(kind)s::text is null or d.kind = %(kind)s::text)
            and (%(user_id)s::text is null or d.user_id = %(user_id)s::text)
            and (%(correlation_id)s::text is null or d.correlation_id = %(correlation_id)s::text)
        order by d.id desc
        limit %(limit)s
    )
    order by id desc
    limit %(limit)s
)
select r.id, r.kind, r.user_id, r.status, r.progress, r.attempts, r.max_attempts, r.priority, r.output_url, r.output_sha256,
    r.output_bytes, r.content_type, r.failure, r.error, r.correlation_id, r.created_at, r.run_at, r.started_at,
    r.finished_at, r.updated_at
from __public__.render_jobs r
where r.id = any(array(select p.id from page p))
order by r.id desc
