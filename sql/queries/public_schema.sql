-- The schema that holds the public functions, found as any client can, without a privilege on the private schema.
--
-- Another function of that name may stand in another schema, put there by anybody who can create one, to be given the
-- specs of others. Ours has the owner of the private schema; where there is none such, the search path decides.
--
-- Runs in sessions of others: every name is written in full.
select n.nspname
from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) p.pronamespace
where p.proname operator(pg_catalog.=) 'enqueue_render' and p.prosecdef and p.pronargs operator(pg_catalog.=) 11
order by
    exists (
        select from pg_catalog.pg_namespace o
        where o.nspname operator(pg_catalog.=) 'jobsupervisor' and o.nspowner operator(pg_catalog.=) p.proowner) desc,
    (n.nspname operator(pg_catalog.=) any(pg_catalog.current_schemas(false))) desc,
    n.nspname
limit 1
