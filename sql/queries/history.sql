-- The last attempts of a job, the newest first, with what each wrote. Those of a dead letter that are too old to be kept
-- among the attempts stand in the letter.
with kept as materialized (
    select a.attempt, a.supervisor, a.started_at, a.finished_at, a.outcome, a.error, a.peak_memory_bytes, a.cpu_seconds,
        a.exit_signal, a.progress, a.stderr_tail, a.timeout_seconds, a.memory_limit_bytes
    from __public__.render_attempts a
    where a.job_id = %(id)s
    order by a.attempt desc
    limit %(limit)s
)
select k.attempt, k.supervisor, k.started_at, k.finished_at, k.outcome, k.error, k.peak_memory_bytes, k.cpu_seconds,
    k.exit_signal, k.progress, k.stderr_tail, k.timeout_seconds, k.memory_limit_bytes
from kept k
union all
select h.attempt, h.supervisor, h.started_at, h.finished_at, h.outcome, h.error, h.peak_memory_bytes, h.cpu_seconds,
    h.exit_signal, h.progress, h.stderr_tail, h.timeout_seconds, h.memory_limit_bytes
from __public__.render_dead_letters d
cross join lateral jsonb_to_recordset(d.history) as h(
    attempt integer, supervisor text, started_at timestamptz, finished_at timestamptz, outcome text, error text,
    peak_memory_bytes bigint, cpu_seconds double precision, exit_signal integer, progress real, stderr_tail text,
    timeout_seconds double precision, memory_limit_bytes bigint)
where d.id = %(id)s and h.attempt not in (select k.attempt from kept k)
order by attempt desc
limit %(limit)s
