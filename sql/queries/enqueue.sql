-- Enqueues one job through the public function.
select enqueue_render(
    kind => %(kind)s, spec => %(spec)s::jsonb, config => %(config)s::jsonb, idempotency_key => %(idempotency_key)s,
    priority => %(priority)s, run_at => %(run_at)s::timestamptz, max_attempts => %(max_attempts)s,
    timeout => %(timeout)s * interval '1 second', memory_mb => %(memory_mb)s, user_id => %(user_id)s,
    correlation_id => %(correlation_id)s)
