-- Enqueues many jobs through the public function, in one statement: all of them or none. Each parameter is an array with
-- one element per job, or null where every job has the default; the ids come in the order of the arrays.
-- Texts go in binary form (%%(name)b): as text, each quote of a spec would be escaped by the driver, one by one.
-- Runs in sessions of others: every name is written in full.
select e.id
from __public__.enqueue_renders(
    kind => %(kind)b::pg_catalog.text[], spec => %(spec)b::pg_catalog.text[]::pg_catalog.jsonb[],
    config => %(config)b::pg_catalog.text[]::pg_catalog.jsonb[],
    idempotency_key => %(idempotency_key)b::pg_catalog.text[], priority => %(priority)s::integer[],
    run_at => %(run_at)s::pg_catalog.timestamptz[], max_attempts => %(max_attempts)s::integer[],
    timeout => case when %(timeout)s::double precision[] is not null then array(
        select t.seconds operator(pg_catalog.*) interval '1 second'
        from pg_catalog.unnest(%(timeout)s::double precision[]) with ordinality as t (seconds, position)
        order by t.position) end,
    memory_mb => %(memory_mb)s::integer[], user_id => %(user_id)b::pg_catalog.text[],
    correlation_id => %(correlation_id)b::pg_catalog.text[]) with ordinality as e (id, position)
order by e.position
