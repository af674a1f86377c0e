-- Which of these artifacts (by job and attempt) somebody needs: the job completed with that attempt, or the attempt is
-- not acknowledged yet (its supervisor may wait for this very database to come back). Not by URL: a directory may have
-- moved since.
select a.id, a.attempt
from jsonb_to_recordset(%(artifacts)s::jsonb) as a(id uuid, attempt integer)
where exists (
        select from jobsupervisor.finished_job f
        where f.id = a.id and f.attempt = a.attempt and f.output_url is not null)
    or exists (select from jobsupervisor.job j where j.id = a.id and j.attempt = a.attempt and j.state = 'processing')
