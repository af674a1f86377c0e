-- Enqueues one job through the public function. Runs in sessions of others: every name is written in full.
select __public__.enqueue_render(
    kind => %(kind)s::pg_catalog.text, spec => %(spec)s::pg_catalog.jsonb, config => %(config)s::pg_catalog.jsonb,
    idempotency_key => %(idempotency_key)s::pg_catalog.text, priority => %(priority)s::integer,
    run_at => %(run_at)s::pg_catalog.timestamptz, max_attempts => %(max_attempts)s::integer,
    timeout => %(timeout)s::double precision operator(pg_catalog.*) interval '1 second', memory_mb => %(memory_mb)s::integer,
    user_id => %(user_id)s::pg_catalog.text, correlation_id => %(correlation_id)s::pg_catalog.text)
