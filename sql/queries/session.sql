-- Sets what a session of ours needs, and answers one row; where a pooler is in the way it sets nothing and answers none.
--
-- A pooler's sessions are shared: what we set would stay in them for whoever is next. It makes up the process id that it
-- tells its clients (`pid`), so the server's own differs. The condition is a gate in front of the whole row: where it
-- does not hold, nothing of the row is computed.
--
-- Keepalive and user timeout are of the server's end of the connection: without them a supervisor whose machine lost
-- power would keep its name locked for hours. On a Unix socket they do nothing.
select
    set_config('tcp_keepalives_idle', %(keepalives_idle)s, false),
    set_config('tcp_keepalives_interval', %(keepalives_interval)s, false),
    set_config('tcp_keepalives_count', %(keepalives_count)s, false),
    set_config('tcp_user_timeout', %(user_timeout)s, false),
    set_config('lock_timeout', %(lock_timeout)s, false),
    set_config('statement_timeout', %(statement_timeout)s, false),
    -- Our statements are long, and are planned once: by index, since the queue may be empty at that time and hold a million
    -- jobs a minute later.
    set_config('plan_cache_mode', 'force_generic_plan', false),
    set_config('enable_seqscan', 'off', false),
    set_config('jit', 'off', false),
    -- A role's or database's defaults that are meant for others.
    set_config('idle_session_timeout', '0', false),
    set_config('default_transaction_isolation', 'read committed', false)
where pg_backend_pid() = %(pid)s
