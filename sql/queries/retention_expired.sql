-- The partitions whose week ended longer ago than so many days: the schema's own names, which need no quoting.
select c.relname as partition, p.relname as parent
from pg_inherits i
join pg_class c on c.oid = i.inhrelid
join pg_class p on p.oid = i.inhparent
where p.oid in ('jobsupervisor.finished_job'::regclass, 'jobsupervisor.attempt'::regclass)
    and c.relname ~ '_\d{4}w\d{2}$'
    and to_date(right(c.relname, 7), 'IYYY"w"IW') + interval '7 days' < now() - %(days)s * interval '1 day'
order by c.relname
