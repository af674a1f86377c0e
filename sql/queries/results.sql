-- The jobs that last completed with a file to show, the newest first.
select f.id, f.kind, f.user_id, f.content_type, f.output_bytes, f.started_at, f.finished_at
from jobsupervisor.finished_job f
where f.output_url is not null
order by f.finished_at desc
limit %(limit)s
