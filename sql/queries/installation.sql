-- The identity of this database, and what it knows of a store of artifacts: whether it marked it, since when (in seconds
-- since 1970) all that was stored before is its own, and whether it holds what is somebody else's.
select i.id::text, s.place is not null as marked, extract(epoch from s.adopted_at)::double precision as adopted,
    s.disputed_at is not null as disputed
from jobsupervisor.installation i
left join jobsupervisor.artifact_store s on s.place = %(place)s
