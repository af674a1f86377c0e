-- Throughput and ages: jobs completed in the last minute and hour, how long the oldest runnable job has waited, how many
-- are delayed, and the median and 95th percentile of render time in the last hour (seconds).
select
    (select count(*) from jobsupervisor.finished_job f
        where f.status = 'completed' and f.finished_at > now() - interval '1 minute') as completed_last_minute,
    (select count(*) from jobsupervisor.finished_job f
        where f.status = 'completed' and f.finished_at > now() - interval '1 hour') as completed_last_hour,
    (select extract(epoch from now() - min(j.run_at))::double precision from jobsupervisor.job j
        where j.state = 'queued') as oldest_runnable_seconds,
    (select count(*) from jobsupervisor.job j where j.state = 'delayed') as delayed,
    t.median_seconds, t.p95_seconds
from (
    select
        percentile_cont(0.5) within group (order by extract(epoch from f.finished_at - f.started_at)) as median_seconds,
        percentile_cont(0.95) within group (order by extract(epoch from f.finished_at - f.started_at)) as p95_seconds
    from jobsupervisor.finished_job f
    where f.status = 'completed' and f.finished_at > now() - interval '1 hour'
) t
