-- Ends the session that holds a name's lock, if it is the one given: our own, half dead since its connection broke.
-- Waits until it is gone: the lock is free only then, and a trial in between would make us take another name.
select pg_terminate_backend(l.pid, 5000)
from pg_locks l
where l.locktype = 'advisory' and l.objsubid = 1 and l.granted and l.pid = %(pid)s
    and l.database = (select d.oid from pg_database d where d.datname = current_database())
    and ((l.classid::bigint << 32) | l.objid::bigint) = hashtextextended('jobsupervisor ' || %(name)s, 0)
