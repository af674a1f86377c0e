-- The identity of this database, and what it knows of a store of artifacts: whether it marked it, and since when (in seconds
-- since 1970) all that was stored before is its own.
select i.id::text, s.place is not null as marked, extract(epoch from s.adopted_at)::double precision as adopted
from jobsupervisor.installation i
left join jobsupervisor.artifact_store s on s.place = %(place)s
