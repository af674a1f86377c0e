-- Sets where a session of ours looks for names, and answers one row; where a pooler is in the way it sets nothing and answers
-- none, as in session.sql. It is what the search path cannot trick itself: every name is written in full.
select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false)
where pg_catalog.pg_backend_pid() operator(pg_catalog.=) %(pid)s::integer
