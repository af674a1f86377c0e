-- The queue: live work, finished work, dead letters, attempts; the functions and views that clients use.
-- public functions: enqueue_render cancel_render redrive_render redrive_renders purge_dead_letters
-- public functions: pause_renders resume_renders set_render_limit
-- public relations: render_jobs render_attempts render_dead_letters
--
-- Tables are private: no client needs a privilege on them, and they may change in any release. What is public is
-- created in the schema that `migrate --public-schema` names, written __public__ below.
--
-- Live and finished work are stored apart, so that a claim costs the same at a million finished jobs as at none.

create type jobsupervisor.job_state as enum (
    'delayed',     -- to be queued at run_at, which has not come; a retry is delayed too
    'queued',      -- to be claimed
    'processing'   -- claimed: owner and attempt are the fencing token that every later write must name
);

create type jobsupervisor.final_state as enum (
    'completed',   -- its artifact is published
    'cancelled'    -- by cancel_render
);

create type jobsupervisor.outcome as enum (
    'ok',
    'invalid',       -- the spec can never work: dead letter at once
    'render_error',  -- the renderer raised
    'timeout',       -- offence: over its wall clock
    'memory',        -- offence: over its memory
    'limit',         -- offence: over another limit (size of output, files, processes)
    'crash',         -- offence: a signal, or an exit without a reply
    'violation',     -- offence: a call that the sandbox forbids ended it
    'protocol',      -- offence: broke the protocol of the pipe
    'bad_output',    -- its output is not what it said, or nothing
    'cancelled',
    'lost',          -- its supervisor died; an offence when the job was alone there, or when it happens again
    'internal'       -- ours: shutdown, fork server, sandbox set-up; never charged to the job
);

-- The operator's defaults, for what a client left open. One row.
create table jobsupervisor.default_limits (
    only_row boolean primary key default true check (only_row),
    max_attempts integer not null default 5 check (max_attempts > 0),
    spec_bytes integer not null default 16777216 check (spec_bytes > 0)
);
insert into jobsupervisor.default_limits default values;

-- The kinds that can be enqueued. Supervisors register theirs at start; the built-in ones are here from the start, so
-- that a client may enqueue before any supervisor ran.
create table jobsupervisor.kind (
    name text primary key check (name ~ '^[a-z][a-z0-9_.-]{0,62}$'),
    spec_schema jsonb,
    paused boolean not null default false,             -- none is claimed
    max_running integer check (max_running > 0),       -- on all supervisors together; null: no limit
    registered_at timestamptz not null default now()
);
insert into jobsupervisor.kind (name) values ('noop'), ('scene'), ('svg');

-- Limits per tenant, on all supervisors together. The name '*' stands for every tenant that has no row of its own.
create table jobsupervisor.user_limit (
    user_id text primary key,
    max_running integer not null check (max_running > 0 or (max_running = 0 and user_id <> '*'))
);

-- Supervisors that run, or ran and left work behind.
create table jobsupervisor.supervisor (
    id bigint generated always as identity primary key,
    name text not null,
    host text not null,
    pid integer not null,
    concurrency integer not null,
    lock_key bigint,          -- the advisory lock that its LISTEN session holds; null while it only polls
    lease_until timestamptz,  -- where there is no lock: it is gone when this has passed
    lost_at timestamptz,      -- first seen without its lock; cleared when it is back
    armed boolean not null default true,  -- has a free child, and wants to be told of new work (see wake)
    backend_pid integer,      -- the session of its statements
    next_poll_at timestamptz, -- when it looks for itself
    started_at timestamptz not null default now(),
    seen_at timestamptz not null default now()
);

-- Live work.
create table jobsupervisor.job (
    id uuid primary key,
    kind text not null,
    state jobsupervisor.job_state not null default 'queued',
    priority integer not null default 0,
    run_at timestamptz not null default now(),
    owner bigint,                          -- half of the fencing token: the supervisor that claimed it
    attempt integer not null default 0,    -- the other half: counts claims that started
    charged integer not null default 0,    -- attempts that count toward max_attempts
    offences integer not null default 0,   -- attempts that killed or tripped a child
    losses integer not null default 0,     -- attempts whose supervisor died
    max_attempts integer check (max_attempts > 0),  -- null: the operator's default
    timeout interval check (timeout > interval '0'),
    memory_mb integer check (memory_mb > 0),
    progress real not null default 0,
    cancel_requested boolean not null default false,
    failure jobsupervisor.outcome,         -- of the last attempt, while it waits for the next
    error text,
    user_id text,
    correlation_id text,
    idempotency_key text,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    updated_at timestamptz not null default now(),
    spec jsonb not null,
    config jsonb not null,
    check ((state = 'processing') = (owner is not null))
) with (
    -- Each job is updated at its claim, once a second for progress, and deleted: room for HOT updates, early vacuum.
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0
);
-- In the order of a claim: the highest priority of a kind, its tenants in turn, the oldest job of a tenant. What is not
-- due yet is not in it, so that a million delayed jobs do not stand between a claim and its job.
create index job_ready on jobsupervisor.job (kind, priority desc, coalesce(user_id, ''), run_at, id) where state = 'queued';
create index job_due on jobsupervisor.job (run_at) where state = 'delayed';
create index job_owner on jobsupervisor.job (owner) where state = 'processing';

-- Work that completed or was cancelled. The spec is not kept: a finished job is its result. By the week that it finished
-- in: old work is dropped with its partition, not deleted row by row beside the claims.
create table jobsupervisor.finished_job (
    id uuid not null,
    kind text not null,
    status jobsupervisor.final_state not null,
    priority integer not null,
    run_at timestamptz not null,
    attempt integer not null,
    charged integer not null,
    max_attempts integer,
    user_id text,
    correlation_id text,
    output_url text,
    output_sha256 bytea,
    output_bytes bigint,
    content_type text,
    created_at timestamptz not null,
    started_at timestamptz,
    finished_at timestamptz not null default now(),
    primary key (id, finished_at)
) partition by range (finished_at);
-- What no week takes, should nobody have made the weeks in time: a job must be able to finish.
create table jobsupervisor.finished_job_default partition of jobsupervisor.finished_job default;

-- Work that failed for good, with all that a redrive needs.
create table jobsupervisor.dead_letter (
    id uuid primary key,
    kind text not null,
    priority integer not null,
    run_at timestamptz not null,
    attempt integer not null,
    charged integer not null,
    offences integer not null,
    max_attempts integer,
    timeout interval,
    memory_mb integer,
    progress real not null,
    failure jobsupervisor.outcome not null,
    error text,
    user_id text,
    correlation_id text,
    idempotency_key text,
    created_at timestamptz not null,
    started_at timestamptz,
    died_at timestamptz not null default now(),
    history jsonb not null default '[]',  -- its attempts, whole: they are kept here for as long as the letter is
    spec jsonb not null,
    config jsonb not null
);
create index dead_letter_died on jobsupervisor.dead_letter (died_at);

-- One row per attempt that ended, by the week that it ended in.
create table jobsupervisor.attempt (
    job_id uuid not null,
    attempt integer not null,
    supervisor text not null,
    started_at timestamptz not null,
    finished_at timestamptz not null,
    outcome jobsupervisor.outcome not null,
    error text,
    peak_memory_bytes bigint,
    cpu_seconds double precision,
    exit_signal integer,
    progress real,                     -- how far it came
    stderr_tail text,                  -- the last it wrote to standard output and error
    timeout_seconds double precision,  -- the limits in force
    memory_limit_bytes bigint,
    primary key (job_id, attempt, finished_at)
) partition by range (finished_at);
create table jobsupervisor.attempt_default partition of jobsupervisor.attempt default;

-- Makes the partitions of the weeks from now until then; answers how many were missing. Changes the two tables for a
-- moment: call it with a short lock_timeout, and again when that has passed.
create function jobsupervisor.make_weeks(until timestamptz) returns integer
language plpgsql volatile
as $$
declare
    parent text;
    week timestamptz;
    partition text;
    made integer := 0;
begin
    foreach parent in array array['finished_job', 'attempt'] loop
        week := date_trunc('week', now(), 'UTC');
        while week <= until loop
            partition := parent || to_char(week at time zone 'UTC', '_IYYY"w"IW');
            if to_regclass('jobsupervisor.' || partition) is null then
                begin
                    execute format(
                        'create table jobsupervisor.%I partition of jobsupervisor.%I for values from (%L) to (%L)',
                        partition, parent, week, week + interval '7 days');
                    made := made + 1;
                exception
                    -- The default partition has rows of that week, since nobody made it in time: there they stay.
                    when check_violation then null;
                end;
            end if;
            week := week + interval '7 days';
        end loop;
    end loop;
    return made;
end
$$;
select jobsupervisor.make_weeks(now() + interval '8 weeks');

-- A key answers the same job for as long as that job is kept. The fingerprint tells whether it is the same request.
create table jobsupervisor.idempotency (
    key text primary key,
    job_id uuid not null,
    fingerprint bytea not null
);
create index idempotency_job on jobsupervisor.idempotency (job_id);


-- Ids are time-ordered (UUID version 7, RFC 9562 section 5.7), so that neighbours in time are neighbours in the index.
-- PostgreSQL has uuidv7() from 18 on; this serves 14 to 18 alike.
create function jobsupervisor.new_id() returns uuid
language sql volatile parallel safe
as $$
    select encode(
        set_bit(set_bit(
            overlay(
                uuid_send(gen_random_uuid())
                placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
                from 1 for 6),
            52, 1), 53, 1),
        'hex')::uuid
$$;

create function jobsupervisor.tell_final(id uuid, status text, kind text) returns void
language sql volatile
as $$
    select pg_notify('render_events', json_build_object('id', id, 'status', status, 'kind', kind)::text)
$$;

-- Wakes the supervisors. The payload is empty for work that can run now, and the whole second at which it is due for
-- work that is delayed: an idle supervisor sets its clock by it and sends no statement. Equal payloads of one
-- transaction arrive once, so that a bulk enqueue costs one wake-up.
--
-- NOTIFY takes a lock across the whole database at commit, so it is sent only when somebody wants it: for work that can
-- run now, while some supervisor is armed (it has a free child); for delayed work, when it is due before some supervisor
-- looks for itself.
--
-- Why no wake-up is lost. The caller has written its job before it asks here; so it holds the lock that every writer of
-- the table has until its transaction ends. A supervisor that goes idle arms itself, commits that, and then looks once
-- more, for jobs and for who holds that lock. A caller that asked before the arming was committed has either committed
-- (the look finds its job) or is among the holders (the supervisor looks again when it is not any more). One that asks
-- later reads `armed` and notifies. It does so because each statement of a READ COMMITTED transaction reads what is
-- committed by then; in the other isolation levels it would read an old flag, and notifies always. Nobody waits for a
-- lock in any of this, and the flag is an ordinary logged row, which a crash of the server does not lose.
create function jobsupervisor.wake(run_at timestamptz) returns void
language plpgsql volatile
as $$
begin
    if run_at <= now() then
        if current_setting('transaction_isolation') <> 'read committed'
            or exists (select from jobsupervisor.supervisor s where s.armed)
        then
            perform pg_notify('jobsupervisor_wake', '');
        end if;
    elsif current_setting('transaction_isolation') <> 'read committed'
        or exists (
            select from jobsupervisor.supervisor s
            where s.lock_key is not null and coalesce(s.next_poll_at, 'infinity') > wake.run_at)
    then
        perform pg_notify('jobsupervisor_wake', floor(extract(epoch from run_at))::bigint::text);
    end if;
end
$$;

-- How many more jobs of a limited kind or tenant may start now; null when another supervisor is counting just now.
--
-- The count must not be overtaken by another claim: whoever counts holds an advisory lock until its claim is committed,
-- and nobody waits for it. The lock is asked for first, and the count is a statement of its own in a function that is
-- volatile, so that it reads what is committed at that moment and not at the start of the claim.
create function jobsupervisor.places(scope text, name text, max_running integer) returns integer
language plpgsql volatile
as $$
begin
    if not pg_try_advisory_xact_lock(hashtextextended('jobsupervisor limit ' || scope || ' ' || name, 0)) then
        return null;
    end if;
    return greatest(0, max_running - (
        select count(*) from jobsupervisor.job j
        where j.state = 'processing' and case scope when 'kind' then j.kind = name else coalesce(j.user_id, '') = name end));
end
$$;


create function jobsupervisor.require_kind(name text) returns void
language plpgsql stable
as $$
begin
    if not exists (select from jobsupervisor.kind k where k.name = require_kind.name) then
        raise exception 'kind must be a registered kind, got %', coalesce(quote_literal(require_kind.name), 'null')
            using errcode = 'invalid_parameter_value',
                detail = 'Registered: ' || (select string_agg(k.name, ', ' order by k.name) from jobsupervisor.kind k) || '.',
                hint = 'A supervisor registers the kinds of its RENDER_PLUGINS when it starts, `jobsupervisor migrate` too.';
    end if;
end
$$;

-- The parameters carry the names of the public contract; inside, each is written with the function's name before it,
-- since columns have the same names.
create function __public__.enqueue_render(
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
    largest integer;
    size bigint;
    wrong text;
begin
    perform jobsupervisor.require_kind(kind);
    if spec is null or jsonb_typeof(spec) <> 'object' then
        raise exception 'spec must be a JSON object, got %', coalesce(jsonb_typeof(spec), 'null')
            using errcode = 'invalid_parameter_value', hint = 'Put what is to be rendered in an object: {"...": ...}.';
    end if;
    config := coalesce(config, '{}');
    if jsonb_typeof(config) <> 'object' then
        raise exception 'config must be a JSON object, got %', jsonb_typeof(config)
            using errcode = 'invalid_parameter_value', hint = 'Leave config out, or pass an object.';
    end if;
    select d.spec_bytes into largest from jobsupervisor.default_limits d;
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
    select format('%s must be at most 255 characters, got %s', v.name, length(v.value)) into wrong
        from (values ('user_id', user_id), ('correlation_id', correlation_id), ('idempotency_key', idempotency_key))
            as v (name, value)
        where length(v.value) > 255
        limit 1;
    if wrong is not null then
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

-- True when the job will not complete: at once while it is queued; while it runs, its supervisor is told to kill the
-- child, and whatever the attempt still answers is dropped. False for a job that is finished or unknown.
create function __public__.cancel_render(id uuid) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    job jobsupervisor.job;
begin
    select j.* into job from jobsupervisor.job j where j.id = cancel_render.id for update;
    if not found then
        return false;
    end if;
    if job.state = 'processing' then
        update jobsupervisor.job j set cancel_requested = true, updated_at = now() where j.id = cancel_render.id;
        perform pg_notify('jobsupervisor_cancel', cancel_render.id::text);
        return true;
    end if;
    delete from jobsupervisor.job j where j.id = cancel_render.id;
    insert into jobsupervisor.finished_job (
        id, kind, status, priority, run_at, attempt, charged, max_attempts, user_id, correlation_id, created_at, started_at)
    values (
        job.id, job.kind, 'cancelled', job.priority, job.run_at, job.attempt, job.charged, job.max_attempts, job.user_id,
        job.correlation_id, job.created_at, job.started_at);
    perform jobsupervisor.tell_final(job.id, 'cancelled', job.kind);
    return true;
end
$$;

-- Where dead letters went: none leaves the table without a line here.
create table jobsupervisor.departed_letter (
    id uuid not null,
    kind text not null,
    failure jobsupervisor.outcome not null,
    died_at timestamptz not null,
    departed_at timestamptz not null default now(),
    how text not null check (how in ('redriven', 'purged')),
    by_role text not null default session_user
);

-- Puts a dead letter back into the queue under its own id, with its charges forgiven. Its attempts stay listed, and
-- new ones count on from them.
create function __public__.redrive_render(id uuid) returns uuid
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    dead jobsupervisor.dead_letter;
begin
    delete from jobsupervisor.dead_letter d where d.id = redrive_render.id returning d.* into dead;
    if not found then
        raise exception 'id must be that of a dead letter, got %', coalesce(redrive_render.id::text, 'null')
            using errcode = 'no_data_found', hint = 'render_dead_letters lists them.';
    end if;
    insert into jobsupervisor.job (
        id, kind, priority, attempt, max_attempts, timeout, memory_mb, user_id, correlation_id, idempotency_key,
        created_at, spec, config)
    values (
        dead.id, dead.kind, dead.priority, dead.attempt, dead.max_attempts, dead.timeout, dead.memory_mb, dead.user_id,
        dead.correlation_id, dead.idempotency_key, dead.created_at, dead.spec, dead.config);
    insert into jobsupervisor.departed_letter (id, kind, failure, died_at, how)
        values (dead.id, dead.kind, dead.failure, dead.died_at, 'redriven');
    perform jobsupervisor.wake(now());
    return dead.id;
end
$$;

-- Puts dead letters of a kind, of a failure, or all of them back into the queue, the oldest first, at most so many.
create function __public__.redrive_renders(
    kind text default null, failure text default null, at_most integer default 100) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    redriven bigint;
begin
    if at_most is null or at_most <= 0 then
        raise exception 'at_most must be at least 1, got %', coalesce(at_most::text, 'null')
            using errcode = 'invalid_parameter_value', hint = 'Leave at_most out for 100.';
    end if;
    select count(__public__.redrive_render(d.id)) into redriven
    from (
        select l.id from jobsupervisor.dead_letter l
        where (redrive_renders.kind is null or l.kind = redrive_renders.kind)
            and (redrive_renders.failure is null or l.failure::text = redrive_renders.failure)
        order by l.died_at
        limit at_most
        for update skip locked
    ) d;
    return redriven;
end
$$;

-- Deletes dead letters that died longer ago than that, with their attempts and keys; answers how many.
create function __public__.purge_dead_letters(older_than interval) returns bigint
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    purged bigint;
begin
    if older_than is null or older_than < interval '0' then
        raise exception 'older_than must be an interval of zero or more, got %', coalesce(older_than::text, 'null')
            using errcode = 'invalid_parameter_value', hint = 'interval ''0'' purges all, interval ''30 days'' the old.';
    end if;
    with dead as (
        delete from jobsupervisor.dead_letter d where d.died_at <= now() - older_than
        returning d.id, d.kind, d.failure, d.died_at
    ), departed as (
        insert into jobsupervisor.departed_letter (id, kind, failure, died_at, how)
        select dead.id, dead.kind, dead.failure, dead.died_at, 'purged' from dead
    ), attempts as (
        delete from jobsupervisor.attempt a using dead where a.job_id = dead.id
    ), keys as (
        delete from jobsupervisor.idempotency i using dead where i.job_id = dead.id
    )
    select count(*) into purged from dead;
    return purged;
end
$$;


-- Operating functions, for who owns the schema: nobody else is granted them.

-- Stops claims of a kind, on all supervisors; what runs goes on. True when it was not paused.
create function __public__.pause_renders(kind text) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    was boolean;
begin
    select k.paused into was from jobsupervisor.kind k where k.name = pause_renders.kind for update;
    perform jobsupervisor.require_kind(pause_renders.kind);
    update jobsupervisor.kind k set paused = true where k.name = pause_renders.kind;
    return not was;
end
$$;

-- Lets a kind be claimed again. True when it was paused.
create function __public__.resume_renders(kind text) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    was boolean;
begin
    select k.paused into was from jobsupervisor.kind k where k.name = resume_renders.kind for update;
    perform jobsupervisor.require_kind(resume_renders.kind);
    update jobsupervisor.kind k set paused = false where k.name = resume_renders.kind;
    perform pg_notify('jobsupervisor_wake', '');
    return was;
end
$$;

-- Limits how many jobs of a kind, or of a tenant, run at once on all supervisors together; null lifts the limit. The
-- tenant '*' stands for every one that has no limit of its own. Takes effect with the next claim; nothing is killed.
create function __public__.set_render_limit(
    kind text default null, user_id text default null, max_running integer default null) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if (kind is null) = (user_id is null) then
        raise exception 'one of kind and user_id must be given, got %',
                case when kind is null then 'neither' else 'both' end
            using errcode = 'invalid_parameter_value', hint = 'Call it once for the kind and once for the tenant.';
    end if;
    if max_running < 0 or (max_running = 0 and (kind is not null or user_id = '*')) then
        raise exception 'max_running must be at least 1 (0 only for one tenant), got %', max_running
            using errcode = 'invalid_parameter_value', hint = 'pause_renders stops a kind, null lifts a limit.';
    end if;
    if kind is not null then
        perform jobsupervisor.require_kind(kind);
        update jobsupervisor.kind k set max_running = set_render_limit.max_running where k.name = set_render_limit.kind;
    elsif max_running is null then
        delete from jobsupervisor.user_limit u where u.user_id = set_render_limit.user_id;
    else
        insert into jobsupervisor.user_limit (user_id, max_running)
            values (set_render_limit.user_id, set_render_limit.max_running)
            on conflict on constraint user_limit_pkey do update set max_running = excluded.max_running;
    end if;
    perform pg_notify('jobsupervisor_wake', '');
end
$$;

create view __public__.render_jobs as
    select
        j.id, j.kind, j.user_id, case j.state when 'processing' then 'processing' else 'queued' end as status, j.progress,
        case j.state when 'processing' then j.charged + 1 else j.charged end as attempts,
        coalesce(j.max_attempts, d.max_attempts) as max_attempts,
        j.priority,
        null::text as output_url, null::text as output_sha256, null::bigint as output_bytes, null::text as content_type,
        j.failure::text as failure, j.error,
        j.correlation_id, j.created_at, j.run_at, j.started_at, null::timestamptz as finished_at, j.updated_at
    from jobsupervisor.job j cross join jobsupervisor.default_limits d
    union all
    select
        f.id, f.kind, f.user_id, f.status::text, (f.status = 'completed')::integer::real,
        f.charged,
        coalesce(f.max_attempts, d.max_attempts),
        f.priority,
        f.output_url, encode(f.output_sha256, 'hex'), f.output_bytes, f.content_type,
        null, null,
        f.correlation_id, f.created_at, f.run_at, f.started_at, f.finished_at, f.finished_at
    from jobsupervisor.finished_job f cross join jobsupervisor.default_limits d
    union all
    select
        l.id, l.kind, l.user_id, 'failed', l.progress,
        l.charged,
        coalesce(l.max_attempts, d.max_attempts),
        l.priority,
        null, null, null, null,
        l.failure::text, l.error,
        l.correlation_id, l.created_at, l.run_at, l.started_at, l.died_at, l.died_at
    from jobsupervisor.dead_letter l cross join jobsupervisor.default_limits d;

create view __public__.render_attempts as
    select
        a.job_id, a.attempt, a.supervisor, a.started_at, a.finished_at, a.outcome::text as outcome, a.error,
        a.peak_memory_bytes, a.cpu_seconds, a.exit_signal,
        a.progress, a.stderr_tail, a.timeout_seconds, a.memory_limit_bytes
    from jobsupervisor.attempt a
    union all
    select
        j.id, j.attempt, s.name, j.started_at, null, null, null,
        null, null, null,
        j.progress, null, null, null
    from jobsupervisor.job j left join jobsupervisor.supervisor s on s.id = j.owner
    where j.state = 'processing';

create view __public__.render_dead_letters as
    select d.id, d.kind, d.spec, d.config, d.user_id, d.failure::text as failure, d.error, d.charged as attempts, d.died_at,
        d.history
    from jobsupervisor.dead_letter d;


-- Who may use it: nobody but whom the operator grants it to. A role of ours is there to be granted where the migrating
-- role may create roles; elsewhere the operator grants the same to a role of his own (docs/sql.md).
revoke all on function __public__.enqueue_render(
    text, jsonb, jsonb, text, integer, timestamptz, integer, interval, integer, text, text) from public;
revoke all on function __public__.cancel_render(uuid) from public;
revoke all on function __public__.redrive_render(uuid) from public;
revoke all on function __public__.redrive_renders(text, text, integer) from public;
revoke all on function __public__.purge_dead_letters(interval) from public;
revoke all on function __public__.pause_renders(text) from public;
revoke all on function __public__.resume_renders(text) from public;
revoke all on function __public__.set_render_limit(text, text, integer) from public;

do $$
begin
    if not exists (select from pg_roles where rolname = 'jobsupervisor_enqueuer') then
        create role jobsupervisor_enqueuer nologin;
    end if;
exception
    -- Roles belong to the whole server: a migration of another database may have made it just now.
    when duplicate_object or unique_violation then null;
    when insufficient_privilege then
        raise notice 'role jobsupervisor_enqueuer was not created (no privilege): grant to a role of yours, see docs/sql.md';
end
$$;

do $$
begin
    if not exists (select from pg_roles where rolname = 'jobsupervisor_enqueuer') then
        return;
    end if;
    grant usage on schema __public__ to jobsupervisor_enqueuer;
    grant execute on function __public__.enqueue_render(
        text, jsonb, jsonb, text, integer, timestamptz, integer, interval, integer, text, text) to jobsupervisor_enqueuer;
    grant execute on function __public__.cancel_render(uuid) to jobsupervisor_enqueuer;
    grant execute on function __public__.redrive_render(uuid) to jobsupervisor_enqueuer;
    grant select on __public__.render_jobs, __public__.render_attempts, __public__.render_dead_letters
        to jobsupervisor_enqueuer;
end
$$;
