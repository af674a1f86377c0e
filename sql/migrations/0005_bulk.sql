-- Enqueuing one by one with fewer statements inside, and many in one.
-- public functions: enqueue_renders

-- As before, but that kind and limit are looked up at once, and no statement is run to find that no text is too long: what a
-- function of PL/pgSQL costs is the statements that it runs, not the comparisons.
create or replace function __public__.enqueue_render(
    kind text,
    spec jsonb,
    config jsonb default '{}',
    idempotency_key text default null,
    priority integer default 0,
    run_at timestamptz default null,
    max_attempts integer default null,
    timeout interval default null,
    memory_mb integer default null,
    user_id text default null,
    correlation_id text default null
) returns uuid
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    job_id uuid := jobsupervisor.new_id();
    due timestamptz := coalesce(enqueue_render.run_at, now());
    fingerprint bytea;
    known jobsupervisor.idempotency;
    registered boolean;
    largest integer;
    size bigint;
    wrong text;
begin
    select exists (select from jobsupervisor.kind k where k.name = enqueue_render.kind), d.spec_bytes
        into registered, largest
        from jobsupervisor.default_limits d;
    if not registered then
        perform jobsupervisor.require_kind(kind);
    end if;
    if spec is null or jsonb_typeof(spec) <> 'object' then
        raise exception 'spec must be a JSON object, got %', coalesce(jsonb_typeof(spec), 'null')
            using errcode = 'invalid_parameter_value', hint = 'Put what is to be rendered in an object: {"...": ...}.';
    end if;
    config := coalesce(config, '{}');
    if jsonb_typeof(config) <> 'object' then
        raise exception 'config must be a JSON object, got %', jsonb_typeof(config)
            using errcode = 'invalid_parameter_value', hint = 'Leave config out, or pass an object.';
    end if;
    -- As text, which is what a child reads: the stored size of a value that comes out of a table is a compressed one.
    size := octet_length(spec::text) + octet_length(config::text);
    if size > largest then
        raise exception 'spec and config must be at most % bytes together, got %', largest, size
            using errcode = 'program_limit_exceeded', hint = 'Make embedded images smaller, or split the job.';
    end if;
    if timeout <= interval '0' then
        raise exception 'timeout must be positive, got %', timeout
            using errcode = 'invalid_parameter_value', hint = 'Leave timeout out for the operator''s limit.';
    end if;
    if memory_mb <= 0 then
        raise exception 'memory_mb must be positive, got %', memory_mb
            using errcode = 'invalid_parameter_value', hint = 'Leave memory_mb out for the operator''s limit.';
    end if;
    if max_attempts <= 0 then
        raise exception 'max_attempts must be at least 1, got %', max_attempts
            using errcode = 'invalid_parameter_value', hint = 'Leave max_attempts out for the operator''s default.';
    end if;
    if not isfinite(run_at) or run_at >= timestamptz '10000-01-01 00:00:00+00' then
        raise exception 'run_at must be a point in time before the year 10000, got %', run_at
            using errcode = 'invalid_parameter_value', hint = 'Enqueue the job when it is to run.';
    end if;
    if idempotency_key = '' then
        raise exception 'idempotency_key must not be empty, got %', quote_literal(idempotency_key)
            using errcode = 'invalid_parameter_value', hint = 'Leave idempotency_key out for a job of its own.';
    end if;
    if length(user_id) > 255 or length(correlation_id) > 255 or length(idempotency_key) > 255 then
        select format('%s must be at most 255 characters, got %s', v.name, length(v.value)) into wrong
            from (values ('user_id', user_id), ('correlation_id', correlation_id), ('idempotency_key', idempotency_key))
                as v (name, value)
            where length(v.value) > 255
            limit 1;
        raise exception '%', wrong
            using errcode = 'invalid_parameter_value', hint = 'Pass a hash of a longer value, or leave it out.';
    end if;

    if idempotency_key is not null then
        fingerprint := sha256(convert_to(
            jsonb_build_array(enqueue_render.kind, spec, config, enqueue_render.user_id)::text, 'UTF8'));
        loop
            -- Waits for a concurrent transaction with the same key, so that two clients cannot both find it free.
            insert into jobsupervisor.idempotency (key, job_id, fingerprint)
                values (enqueue_render.idempotency_key, job_id, fingerprint)
                on conflict (key) do nothing;
            exit when found;
            select i.* into known from jobsupervisor.idempotency i where i.key = enqueue_render.idempotency_key;
            -- Not there any more: its job was purged in between, and the key is free.
            continue when not found;
            if known.fingerprint <> fingerprint then
                raise exception 'idempotency_key % was used for another request, job %',
                        quote_literal(enqueue_render.idempotency_key), known.job_id
                    using errcode = 'unique_violation',
                        hint = 'Use a new key for another kind, spec, config or user_id.';
            end if;
            return known.job_id;
        end loop;
    end if;

    insert into jobsupervisor.job (
        id, kind, state, spec, config, priority, run_at, max_attempts, timeout, memory_mb, user_id, correlation_id,
        idempotency_key)
    values (
        job_id, enqueue_render.kind,
        case when due > now() then 'delayed' else 'queued' end::jobsupervisor.job_state,
        enqueue_render.spec, enqueue_render.config, coalesce(enqueue_render.priority, 0), due,
        enqueue_render.max_attempts, enqueue_render.timeout, enqueue_render.memory_mb, enqueue_render.user_id,
        enqueue_render.correlation_id, enqueue_render.idempotency_key);
    perform jobsupervisor.wake(due);
    return job_id;
end
$$;

-- Enqueues many jobs at once: all of them or none. Each parameter is an array with one element per job, or null where every job
-- has the default; the answer is their ids, in the order of the arrays.
--
-- What has nothing special to it goes in by one statement. A job with a key, or one that is wrong, goes through enqueue_render
-- like any other, which waits for who else is using the key, or says what is wrong. Those come last, in the order of their
-- keys: each is taken until the transaction ends, and another call may be taking the same ones. In one order for all, the later
-- call waits; in the callers' orders, two could wait for each other, and the server would end one of them.
create function __public__.enqueue_renders(
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
                || substr(gen_random_uuid()::text, 20))::uuid as id
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

revoke all on function __public__.enqueue_renders(
    text[], jsonb[], jsonb[], text[], integer[], timestamptz[], integer[], interval[], integer[], text[], text[]) from public;
do $$
begin
    if exists (select from pg_roles where rolname = 'jobsupervisor_enqueuer') then
        grant execute on function __public__.enqueue_renders(
            text[], jsonb[], jsonb[], text[], integer[], timestamptz[], integer[], interval[], integer[], text[], text[])
            to jobsupervisor_enqueuer;
    end if;
end
$$;
