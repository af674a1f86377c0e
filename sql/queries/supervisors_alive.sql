-- Supervisors that hold their lock or whose lease runs.
select s.id, s.name, s.host, s.pid, s.concurrency, s.started_at, s.seen_at,
    (select count(*) from jobsupervisor.job j where j.state = 'processing' and j.owner = s.id) as running
from jobsupervisor.supervisor s
where s.lease_until > now() or exists (
    select from pg_locks l
    where l.locktype = 'advisory' and l.objsubid = 1 and l.granted
        and l.database = (select d.oid from pg_database d where d.datname = current_database())
        and ((l.classid::bigint << 32) | l.objid::bigint) = s.lock_key)
order by s.name
