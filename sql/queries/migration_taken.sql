-- Which of the public names that a migration is about to create are taken in that schema, and by what.
select format('function %%s(%%s)', p.proname, pg_get_function_identity_arguments(p.oid))
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname = %(schema)s and p.proname = any(%(functions)s)
union all
select format(
    '%%s %%s',
    case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'r' then 'table' when 'p' then 'table'
        else 'relation' end,
    c.relname)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = %(schema)s and c.relname = any(%(relations)s)
order by 1
