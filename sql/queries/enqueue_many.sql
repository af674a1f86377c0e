-- Enqueues many jobs through the public function, in one statement: all of them or none. Each parameter is an array with
-- one element per job, or null where every job has the default; the ids come in the order of the arrays.
-- Texts go in binary form (%%(name)b): as text, each quote of a spec would be escaped by the driver, one by one.
select e.id
from __public__.enqueue_renders(
    kind => %(kind)b::text[], spec => %(spec)b::text[]::jsonb[], config => %(config)b::text[]::jsonb[],
    idempotency_key => %(idempotency_key)b::text[], priority => %(priority)s::integer[],
    run_at => %(run_at)s::timestamptz[], max_attempts => %(max_attempts)s::integer[],
    timeout => case when %(timeout)s::double precision[] is not null then array(
        select t.seconds * interval '1 second'
        from unnest(%(timeout)s::double precision[]) with ordinality as t (seconds, position)
        order by t.position) end,
    memory_mb => %(memory_mb)s::integer[], user_id => %(user_id)b::text[],
    correlation_id => %(correlation_id)b::text[]) with ordinality as e (id, position)
order by e.position
