-- The last attempts of a job, at most `limit`, in order.
select a.attempt, a.supervisor, a.started_at, a.finished_at, a.outcome, a.error, a.peak_memory_bytes, a.cpu_seconds, a.exit_signal
from (
    select r.attempt, r.supervisor, r.started_at, r.finished_at, r.outcome, r.error, r.peak_memory_bytes, r.cpu_seconds,
        r.exit_signal
    from __public__.render_attempts r where r.job_id = %(id)s order by r.attempt desc limit %(limit)s
) a
order by a.attempt
