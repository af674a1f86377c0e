-- Enqueues one job through the public function.
select __public__.enqueue_render(
    kind => %(kind)s::text, spec => %(spec)s::jsonb, config => %(config)s::jsonb,
    idempotency_key => %(idempotency_key)s::text, priority => %(priority)s::integer,
    run_at => %(run_at)s::timestamptz, max_attempts => %(max_attempts)s::integer,
    timeout => %(timeout)s::double precision * interval '1 second', memory_mb => %(memory_mb)s::integer,
    user_id => %(user_id)s::text, correlation_id => %(correlation_id)s::text)
