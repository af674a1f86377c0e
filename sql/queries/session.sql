-- Sets what a session of ours needs, and answers one row; where a pooler is in the way it sets nothing and answers none.
--
-- A pooler's sessions are shared: what we set would stay in them for whoever is next. It makes up the process id that it
-- tells its clients (`pid`), so the server's own differs. The condition is a gate in front of the whole row: where it
-- does not hold, nothing of the row is computed.
--
-- Keepalive and user timeout are of the server's end of the connection: without them a supervisor whose machine lost
-- power would keep its name locked for hours. On a Unix socket they do nothing.
select
    -- Whoever may create in a schema that is searched could otherwise have our statements call what he wrote: an operator
    -- for just these types wins over pg_catalog's, which needs a cast. This statement itself writes every name in full.
    pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false),
    pg_catalog.set_config('tcp_keepalives_idle', %(keepalives_idle)s, false),
    pg_catalog.set_config('tcp_keepalives_interval', %(keepalives_interval)s, false),
    pg_catalog.set_config('tcp_keepalives_count', %(keepalives_count)s, false),
    pg_catalog.set_config('tcp_user_timeout', %(user_timeout)s, false),
    pg_catalog.set_config('lock_timeout', %(lock_timeout)s, false),
    pg_catalog.set_config('statement_timeout', %(statement_timeout)s, false),
    -- Our statements are long, and are planned once: by index, since the queue may be empty at that time and hold a million
    -- jobs a minute later.
    pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', false),
    pg_catalog.set_config('enable_seqscan', 'off', false),
    pg_catalog.set_config('jit', 'off', false),
    -- A role's or database's defaults that are meant for others.
    pg_catalog.set_config('idle_session_timeout', '0', false),
    pg_catalog.set_config('default_transaction_isolation', 'read committed', false)
where pg_catalog.pg_backend_pid() operator(pg_catalog.=) %(pid)s::integer
