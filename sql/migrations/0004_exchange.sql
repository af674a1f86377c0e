-- What the exchange asks of finished work, which it does once in a long while: in functions, since a statement that names a
-- partitioned table opens every partition of it each time, whether it comes to read one or not.

-- The attempts of a job that are on record, as a dead letter keeps them, oldest first; null where there is none.
create function jobsupervisor.attempts_of(job uuid) returns jsonb
language sql stable
as $$
    select jsonb_agg(to_jsonb(a) - 'job_id' order by a.attempt) from jobsupervisor.attempt a where a.job_id = job
$$;

-- Whether a job is completed, with this artifact.
create function jobsupervisor.is_completed(job uuid, url text) returns boolean
language sql stable
as $$
    select exists (select from jobsupervisor.finished_job f where f.id = job and f.output_url = url)
$$;

-- One row, of which the planner believes that there are thousands until somebody counts: and what is so small is never counted
-- by itself. The view render_jobs joins it to every job.
analyze jobsupervisor.default_limits;
