-- The schemas in which everybody may create, of those whose objects somebody of us may run into: `public`, ours, and what a
-- session of this role would look into had we not set its search path; and the statement that ends it.
select n.nspname, format('revoke create on schema %%I from public', n.nspname)
from pg_namespace n
where has_schema_privilege('public', n.oid, 'create') and n.nspname !~ '^pg_'
    and (
        n.nspname in ('public', 'jobsupervisor', %(public_schema)s::text)
        or n.nspname = any(
            select case
                when p.name = '"$user"' then session_user::text
                when p.name like '"%%"' then replace(substr(p.name, 2, length(p.name) - 2), '""', '"')
                else lower(p.name)
            end
            from pg_settings s
            cross join lateral regexp_split_to_table(s.reset_val, '\s*,\s*') as p(name)
            where s.name = 'search_path'))
order by n.nspname
