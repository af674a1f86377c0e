-- Which of the public names that a migration is about to create are taken in that schema, and by what. A view makes a
-- type of its name, so that a type in the way is as good as a relation.
select format('function %%s(%%s)', p.proname, pg_get_function_identity_arguments(p.oid))
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname = %(schema)s and p.proname = any(%(functions)s)
union all
select format(
    '%%s %%s',
    case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'r' then 'table' when 'p' then 'table'
        when 'f' then 'foreign table' when 'S' then 'sequence' when 'c' then 'type' else 'index' end,
    c.relname)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = %(schema)s and c.relname = any(%(relations)s)
union all
-- Those of relations are named above; an array's type gives way by itself.
select format('%%s %%s', case t.typtype when 'd' then 'domain' else 'type' end, t.typname)
from pg_type t join pg_namespace n on n.oid = t.typnamespace
where n.nspname = %(schema)s and t.typname = any(%(relations)s) and t.typrelid = 0
    and not exists (select from pg_type e where e.typarray = t.oid)
order by 1
