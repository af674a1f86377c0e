-- Whether a schema of that name is there.
select exists (select from pg_namespace where nspname = %(schema)s)
