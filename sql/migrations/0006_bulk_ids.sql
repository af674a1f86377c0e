-- enqueue_renders asks once for what nobody can guess, not for each id.

-- Enqueues many jobs at once: all of them or none. Each parameter is an array with one element per job, or null where every job
-- has the default; the answer is their ids, in the order of the arrays.
--
-- What has nothing special to it goes in by one statement. A job with a key, or one that is wrong, goes through enqueue_render
-- like any other, which waits for who else is using the key, or says what is wrong. Those come last, in the order of their
-- keys: each is taken until the transaction ends, and another call may be taking the same ones. In one order for all, the later
-- call waits; in the callers' orders, two could wait for each other, and the server would end one of them.
create or replace function __public__.enqueue_renders(
    kind text[],
    spec jsonb[],
    config jsonb[] default null,
    idempotency_key text[] default null,
    priority integer[] default null,
    run_at timestamptz[] default null,
    max_attempts integer[] default null,
    timeout interval[] default null,
    memory_mb integer[] default null,
    user_id text[] default null,
    correlation_id text[] default null
) returns setof uuid
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    jobs integer := coalesce(cardinality(enqueue_renders.kind), 0);
    milliseconds bigint := floor(extract(epoch from clock_timestamp()) * 1000);
    -- What nobody can guess is asked for once; to ask for each id took a fifth of the time.
    secret bytea := uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());
    largest integer;
    ids uuid[];
    alone bigint[];
    wrong text;
    one record;
begin
    select format('%s must have as many elements as kind, %s, got %s', v.name, jobs, v.length) into wrong
        from (values
            ('spec', coalesce(cardinality(enqueue_renders.spec), 0)), ('config', cardinality(enqueue_renders.config)),
            ('idempotency_key', cardinality(enqueue_renders.idempotency_key)),
            ('priority', cardinality(enqueue_renders.priority)), ('run_at', cardinality(enqueue_renders.run_at)),
            ('max_attempts', cardinality(enqueue_renders.max_attempts)),
            ('timeout', cardinality(enqueue_renders.timeout)), ('memory_mb', cardinality(enqueue_renders.memory_mb)),
            ('user_id', cardinality(enqueue_renders.user_id)),
            ('correlation_id', cardinality(enqueue_renders.correlation_id))
        ) as v (name, length)
        where v.length <> jobs
        limit 1;
    if wrong is not null then
        raise exception '%', wrong
            using errcode = 'invalid_parameter_value', hint = 'Leave out what is the same default for all jobs.';
    end if;
    select d.spec_bytes into largest from jobsupervisor.default_limits d;

    with given as materialized (
        select u.*, coalesce(u.config, '{}') as settings, coalesce(u.run_at, now()) as due,
            -- As new_id makes them, but in order: the place in the arrays counts on within the millisecond (RFC 9562 section 6.2).
            (lpad(to_hex(milliseconds + u.position / 4096), 12, '0') || '7' || lpad(to_hex(u.position % 4096), 3, '0')
                || '8' || substr(encode(sha256(secret || int8send(u.position)), 'hex'), 1, 15))::uuid as id
        from unnest(
                enqueue_renders.kind, enqueue_renders.spec, enqueue_renders.config, enqueue_renders.idempotency_key,
                enqueue_renders.priority, enqueue_renders.run_at, enqueue_renders.max_attempts, enqueue_renders.timeout,
                enqueue_renders.memory_mb, enqueue_renders.user_id, enqueue_renders.correlation_id)
            with ordinality as u (
                kind, spec, config, idempotency_key, priority, run_at, max_attempts, timeout, memory_mb, user_id,
                correlation_id, position)
    ),
    looked_at as materialized (
        select g.*,
            g.idempotency_key is null
                and exists (select from jobsupervisor.kind k where k.name = g.kind)
                and jsonb_typeof(g.spec) = 'object' and jsonb_typeof(g.settings) = 'object'
                and octet_length(g.spec::text) + octet_length(g.settings::text) <= largest
                and coalesce(g.timeout > interval '0', true) and coalesce(g.memory_mb > 0, true)
                and coalesce(g.max_attempts > 0, true)
                and isfinite(g.due) and g.due < timestamptz '10000-01-01 00:00:00+00'
                and coalesce(length(g.user_id) <= 255, true) and coalesce(length(g.correlation_id) <= 255, true)
                as plain
        from given g
    ),
    kept as (
        insert into jobsupervisor.job (
            id, kind, state, spec, config, priority, run_at, max_attempts, timeout, memory_mb, user_id, correlation_id)
        select l.id, l.kind, case when l.due > now() then 'delayed' else 'queued' end::jobsupervisor.job_state, l.spec,
            l.settings, coalesce(l.priority, 0), l.due, l.max_attempts, l.timeout, l.memory_mb, l.user_id, l.correlation_id
        from looked_at l
        where l.plain
        order by l.position
    )
    select array_agg(l.id order by l.position),
        array_agg(l.position order by l.idempotency_key collate "C" nulls first, l.position) filter (where l.plain is not true)
        into ids, alone
        from looked_at l;

    -- Once for all that can run now, and once for each second in which any is due later: what it tells is no finer.
    perform jobsupervisor.wake(d.due)
        from (
            select min(coalesce(u.due, now())) as due
            from unnest(coalesce(enqueue_renders.run_at, array[now()])) as u (due)
            group by coalesce(u.due, now()) <= now(), date_trunc('second', u.due)
        ) d
        where jobs > 0;

    for one in select a.position from unnest(alone) with ordinality as a (position, turn) order by a.turn loop
        ids[one.position] := __public__.enqueue_render(
            enqueue_renders.kind[one.position], enqueue_renders.spec[one.position], enqueue_renders.config[one.position],
            enqueue_renders.idempotency_key[one.position], enqueue_renders.priority[one.position],
            enqueue_renders.run_at[one.position], enqueue_renders.max_attempts[one.position],
            enqueue_renders.timeout[one.position], enqueue_renders.memory_mb[one.position],
            enqueue_renders.user_id[one.position], enqueue_renders.correlation_id[one.position]);
    end loop;
    return query select u.id from unnest(ids) with ordinality as u (id, position) order by u.position;
end
$$;
