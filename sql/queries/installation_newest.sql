-- The artifacts of some jobs that completed last: a store that they should be in, and are not, is not the one that it was.
select f.output_url
from jobsupervisor.finished_job f
where f.output_url is not null
order by f.finished_at desc
limit 20
