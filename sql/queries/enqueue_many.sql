-- Enqueues many jobs through the public function, in one statement: all of them or none. Each parameter is an array with
-- one element per job; the answer says which id belongs to which position, from 1.
--
-- Jobs with a key come last and in the order of their keys. Each takes its key until the transaction ends, and another
-- call may be taking the same ones: in one order for all, the later call waits; in the callers' orders, two could wait
-- for each other, and the server would end one of them. The others keep the order that they were given in.
select r.position, __public__.enqueue_render(
    kind => r.kind, spec => r.spec::jsonb, config => r.config::jsonb, idempotency_key => r.idempotency_key,
    priority => r.priority, run_at => r.run_at, max_attempts => r.max_attempts,
    timeout => r.timeout * interval '1 second', memory_mb => r.memory_mb, user_id => r.user_id,
    correlation_id => r.correlation_id) as id
from (
    select *
    from unnest(
        %(kind)s::text[], %(spec)s::text[], %(config)s::text[], %(idempotency_key)s::text[], %(priority)s::integer[],
        %(run_at)s::timestamptz[], %(max_attempts)s::integer[], %(timeout)s::double precision[],
        %(memory_mb)s::integer[], %(user_id)s::text[], %(correlation_id)s::text[])
        with ordinality as u (
            kind, spec, config, idempotency_key, priority, run_at, max_attempts, timeout, memory_mb, user_id,
            correlation_id, position)
    order by u.idempotency_key collate "C" nulls first, u.position
    -- Keeps the order below the call of the function.
    offset 0
) r
