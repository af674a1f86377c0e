-- Jobs by status and kind. Finished ones are counted for the last day only: older ones say nothing about now.
select case j.state when 'processing' then 'processing' else 'queued' end as status, j.kind, count(*) as jobs
from jobsupervisor.job j group by 1, 2
union all
select f.status::text, f.kind, count(*) from jobsupervisor.finished_job f
where f.finished_at > now() - interval '1 day' group by 1, 2
union all
select 'failed', d.kind, count(*) from jobsupervisor.dead_letter d group by 1, 2
order by 1, 2
