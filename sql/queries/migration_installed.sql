-- Whether migrations were ever recorded here: in a table of that name, with our columns.
select count(*) = 4
from pg_attribute a
where a.attrelid = to_regclass('jobsupervisor.migration') and a.attnum > 0 and not a.attisdropped
    and a.attname in ('version', 'name', 'checksum', 'public_schema')
