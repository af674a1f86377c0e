-- Deletes old rows that no week took, a bounded number at a time; answers how many, and the artifacts.
with old as (
    select f.id, f.finished_at from jobsupervisor.finished_job_default f
    where f.finished_at < now() - %(days)s * interval '1 day'
    limit 1000
), gone as (
    delete from jobsupervisor.finished_job_default f using old
    where f.id = old.id and f.finished_at = old.finished_at
    returning f.id, f.output_url
), keys as (
    delete from jobsupervisor.idempotency i using gone where i.job_id = gone.id
), attempts as (
    delete from jobsupervisor.attempt_default a
    where (a.job_id, a.attempt, a.finished_at) in (
        select d.job_id, d.attempt, d.finished_at from jobsupervisor.attempt_default d
        where d.finished_at < now() - %(days)s * interval '1 day'
        limit 1000)
)
select output_url from gone
