-- The process id of the session that this statement runs in.
select pg_catalog.pg_backend_pid()
