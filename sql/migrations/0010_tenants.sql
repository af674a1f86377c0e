-- What one tenant asks for must not reach another: idempotency keys are per tenant, and the operator bounds priority and attempts.
--
-- A key was unique in the whole database. So who used a key of another tenant's was told that tenant's job, and could take keys
-- from him that are easy to guess. Now it is the tenant's own: the user_id with which it was enqueued, and none is a tenant too.

alter table jobsupervisor.idempotency add column tenant text not null default '';
-- Keys that are in use keep their jobs. A key of a job that nobody finds any more keeps no tenant from anything.
update jobsupervisor.idempotency i
set tenant = o.user_id
from (
    select j.id, j.user_id from jobsupervisor.job j where j.user_id <> '' and j.idempotency_key is not null
    union all
    select d.id, d.user_id from jobsupervisor.dead_letter d where d.user_id <> '' and d.idempotency_key is not null
    union all
    select f.id, f.user_id from jobsupervisor.finished_job f where f.user_id <> ''
) o
where o.id = i.job_id;
alter table jobsupervisor.idempotency drop constraint idempotency_pkey, add primary key (tenant, key);

-- What nobody's job is above, whatever its client asks for: like timeout and memory_mb it is not refused, but brought down. A
-- supervisor tells them when it starts, from RENDER_MAX_PRIORITY and RENDER_ATTEMPTS_LIMIT.
alter table jobsupervisor.default_limits
    add column max_priority integer,                                                -- null: no bound
    add column attempts_limit integer not null default 100 check (attempts_limit > 0);

-- As before, but for the three. (A job that names no attempts has none: `least` would give it the bound.)
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
    highest integer;
    most integer;
    size bigint;
    wrong text;
begin
    select exists (select from jobsupervisor.kind k where k.name = enqueue_render.kind), d.spec_bytes, d.max_priority,
            d.attempts_limit
        into registered, largest, highest, most
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
            -- Waits for a concurrent transaction with the same key of the same tenant, so that two clients cannot both find it free.
            insert into jobsupervisor.idempotency (tenant, key, job_id, fingerprint)
                values (coalesce(enqueue_render.user_id, ''), enqueue_render.idempotency_key, job_id, fingerprint)
                on conflict (tenant, key) do nothing;
            exit when found;
            select i.* into known from jobsupervisor.idempotency i
                where i.tenant = coalesce(enqueue_render.user_id, '') and i.key = enqueue_render.idempotency_key;
            -- Not there any more: its job was purged in between, and the key is free.
            continue when not found;
            if known.fingerprint <> fingerprint then
                raise exception 'idempotency_key % was used for another request, job %',
                        quote_literal(enqueue_render.idempotency_key), known.job_id
                    using errcode = 'unique_violation',
                        hint = 'Use a new key for another kind, spec or config.';
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
        enqueue_render.spec, enqueue_render.config,
        least(coalesce(enqueue_render.priority, 0), highest), due,
        case when enqueue_render.max_attempts > most then most else enqueue_render.max_attempts end, enqueue_render.timeout,
        enqueue_render.memory_mb, enqueue_render.user_id, enqueue_render.correlation_id, enqueue_render.idempotency_key);
    perform jobsupervisor.wake(due);
    return job_id;
end
$$;

-- As before, but for the three. Keys are taken in the order of key and tenant, one order for all callers.
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
    highest integer;
    most integer;
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
    select d.spec_bytes, d.max_priority, d.attempts_limit into largest, highest, most from jobsupervisor.default_limits d;

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
            l.settings, least(coalesce(l.priority, 0), highest), l.due,
            case when l.max_attempts > most then most else l.max_attempts end, l.timeout, l.memory_mb, l.user_id,
            l.correlation_id
        from looked_at l
        where l.plain
        order by l.position
    )
    select array_agg(l.id order by l.position),
        array_agg(
            l.position order by l.idempotency_key collate "C" nulls first, coalesce(l.user_id, '') collate "C", l.position)
            filter (where l.plain is not true)
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

-- As before, but that what was enqueued under a higher bound comes back under the one that holds now.
create or replace function __public__.redrive_render(id uuid) returns uuid
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    dead jobsupervisor.dead_letter;
    most jobsupervisor.default_limits;
begin
    delete from jobsupervisor.dead_letter d where d.id = redrive_render.id returning d.* into dead;
    if not found then
        raise exception 'id must be that of a dead letter, got %', coalesce(redrive_render.id::text, 'null')
            using errcode = 'no_data_found', hint = 'render_dead_letters lists them.';
    end if;
    select d.* into most from jobsupervisor.default_limits d;
    insert into jobsupervisor.job (
        id, kind, priority, attempt, max_attempts, timeout, memory_mb, user_id, correlation_id, idempotency_key,
        created_at, spec, config)
    values (
        dead.id, dead.kind, least(dead.priority, most.max_priority), dead.attempt,
        case when dead.max_attempts > most.attempts_limit then most.attempts_limit else dead.max_attempts end, dead.timeout,
        dead.memory_mb, dead.user_id,
        dead.correlation_id, dead.idempotency_key, dead.created_at, dead.spec, dead.config);
    insert into jobsupervisor.departed_letter (id, kind, failure, died_at, how)
        values (dead.id, dead.kind, dead.failure, dead.died_at, 'redriven');
    perform jobsupervisor.wake(now());
    return dead.id;
end
$$;
