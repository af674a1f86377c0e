-- What stands in the private schema before anything of ours is recorded there.
select s.what from (
    select format('%%s %%s', case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
        when 'c' then 'type' when 'f' then 'foreign table' else 'table' end, c.relname) as what
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'jobsupervisor' and c.relkind not in ('i', 'I', 't')
    union all
    select format('%%s %%s', case p.prokind when 'a' then 'aggregate' when 'p' then 'procedure' else 'function' end, p.proname)
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'jobsupervisor'
    union all
    select format('type %%s', t.typname)
    from pg_type t join pg_namespace n on n.oid = t.typnamespace
    where n.nspname = 'jobsupervisor' and t.typrelid = 0
        and not exists (select from pg_type e where e.typarray = t.oid)
) s
-- Our own table of records, empty: somebody's `delete` left it, or the script of `migrate --sql` was run in pieces.
where not (s.what = 'table migration' and %(recorded)s)
order by 1
