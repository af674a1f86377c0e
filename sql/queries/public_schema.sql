-- The schema that holds the public functions, found as any client can, without the private schema.
select n.nspname
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where p.proname = 'enqueue_render' and p.prosecdef and p.pronargs = 11
order by (n.nspname = any(current_schemas(false))) desc, n.nspname
limit 1
