-- The exchange: acknowledges what finished and claims what is free, in one statement and so in one transaction.
--
-- Parameters
--   owner          this supervisor
--   acks           JSON array, one object per attempt that ended (fields in `ack` below). Its `owner` and `attempt` are
--                  the fencing token that the claim handed out; an ack without an outcome gives back a job that never
--                  started. Its times are seconds of the caller's own clock, which stands at `clock` now, and `epoch` is
--                  what it must be added to for the time of day of this server (null: not known yet)
--   progress       JSON array of {id, attempt, progress} for attempts that go on
--   kinds          kinds to claim;  want: at most so many;  only: null, or the one job to claim
--   cursor         the tenant that was served last;  below: null, or claim only below this priority (see `blocked`)
--   since          claim only what was to run then or later; mark: tell from when on that would be all (see `mark`)
--   arm            whether this supervisor wants to be told of new work; null: as it is
--   offence_limit, max_attempts, retry_delay (seconds): the operator's settings
--
-- Fencing. `held` finds the job by id, owner and attempt, and locks it. A job that was rescued, cancelled or claimed by
-- somebody else has another token, so no row is found, no write follows, and the verdict is `lease_lost`: the caller
-- drops the result. Every write below goes through `held` or names the token itself.
--
-- No waiting lock. A client may hold a job's row locked for as long as it likes (it called cancel_render and did not
-- commit): waiting would stop all acks and claims behind it. Such an ack is skipped, its verdict is `locked`, and the
-- caller sends it again.
--
-- Sent twice. When the connection dies between commit and answer, the caller sends its acks again. The token is gone
-- by then, but the finished job carries the attempt's own artifact URL: the verdict is `completed`, not `lease_lost`,
-- and the caller keeps the artifact.
--
-- What a statement costs that does little is its size. So parts of it, from `{name` to `name}`, are left out where nothing can
-- be for them to do:
--   acks       where there is neither an ack nor progress to write
--   progress   where there is no progress
--   ills       where every ack says `ok`: such a job ends, completed or cancelled
--   claim      where nothing is to be claimed, and so nothing to be told of what is left
--   only       where it is not one job that is asked for
--   holders    where the caller does not ask who is writing
--   since      where everything may be claimed;  mark: where the caller does not ask for it
--   limits     where no kind and no tenant is limited: the caller believes so until the answer `limited`, with which nothing is
--              claimed; and the other way round, `unlimited` says that the long form is not needed
--   free_for_all   with limits: what stands in their place where there are none
--
-- All parts see the snapshot from before the statement: a job that is acked here into `queued` is claimed by a later
-- exchange, which `due` announces.
with recursive
-- {acks
-- The time of day at which the caller's own clock stood at zero: by the caller's estimate, which does not depend on how long
-- this statement was on its way: a minute at most, with which it would have been given up. Beyond that one of the clocks was set.
clock as materialized (
    select case
        when extract(epoch from now())::double precision - (%(epoch)s::double precision + %(clock)s::double precision)
            between -1 and 60
            then to_timestamp(%(epoch)s::double precision)
        else now() - %(clock)s::double precision * interval '1 second'
    end as zero
),
ack as materialized (
    select *
    from rows from (json_to_recordset(%(acks)s::json) as (
        id uuid, owner bigint, attempt integer,
        outcome jobsupervisor.outcome, charge boolean, offence boolean, error text, progress real,
        output_url text, output_sha256 text, output_bytes bigint, content_type text,
        started double precision, finished double precision,
        peak_memory_bytes bigint, cpu_seconds double precision, exit_signal integer,
        stderr_tail text, timeout_seconds double precision, memory_limit_bytes bigint))
    with ordinality as a(
        id, owner, attempt, outcome, charge, offence, error, progress, output_url, output_sha256, output_bytes, content_type,
        started, finished, peak_memory_bytes, cpu_seconds, exit_signal, stderr_tail, timeout_seconds, memory_limit_bytes, n)
),
held as materialized (
    select
        j.id, j.owner, j.attempt, j.kind, j.cancel_requested, j.progress,
        -- A cancelled attempt is not charged, however it ended in the end.
        j.charged + (a.charge and not j.cancel_requested)::integer as charged,
        -- A supervisor's death is held against a job that was alone there, or to which it happened before.
        j.offences + (a.offence or (a.outcome = 'lost' and j.losses > 0))::integer as offences,
        j.losses + coalesce(a.outcome = 'lost', false)::integer as losses,
        coalesce(j.max_attempts, %(max_attempts)s::integer) as allowed_attempts,
        case
            when j.cancel_requested and a.outcome is not null then 'cancelled'
            -- Nobody asked for it: the job goes on.
            when a.outcome = 'cancelled' then 'internal'
            else a.outcome
        end as outcome,
        a.error, a.progress as reached, a.output_url, a.output_sha256, a.output_bytes, a.content_type,
        t.zero + a.started * interval '1 second' as started_at,
        -- Not after this statement, whatever the estimate.
        least(now(), t.zero + a.finished * interval '1 second') as finished_at,
        a.peak_memory_bytes, a.cpu_seconds, a.exit_signal, a.stderr_tail, a.timeout_seconds, a.memory_limit_bytes
    from ack a
    cross join clock t
    -- Looked up one by one: how many jobs the table holds must not matter, whatever it held when this was planned.
    cross join lateral (
        select * from jobsupervisor.job l
        where l.id = a.id and l.owner = a.owner and l.attempt = a.attempt
        for update skip locked
    ) j
),
verdict as materialized (
    select
        h.*,
        case
            when h.cancel_requested then 'cancelled'
            when h.outcome is null then 'given_back'
            when h.outcome = 'ok' then 'completed'
            when h.outcome = 'invalid' then 'failed'
            when h.charged >= h.allowed_attempts then 'failed'
            when h.offences >= %(offence_limit)s::integer then 'failed'
            else 'queued'
        end as verdict,
        -- Exponential backoff with jitter over its upper half, at most an hour. What was ours grows with the attempts
        -- that were not charged, so that a full disk does not have the same job rendered over and over; a job whose
        -- supervisor died is tried again at once.
        case h.outcome
            when 'lost' then now()
            when 'internal' then now() + least(2 ^ least(h.attempt - h.charged - 1, 20), 3600)
                * (0.5 + random() / 2) * interval '1 second'
            else now() + least(%(retry_delay)s::double precision * 2 ^ least(greatest(h.charged - 1, 0), 20), 3600)
                * (0.5 + random() / 2) * interval '1 second'
        end as next_run_at
    from held h
),
-- {ills
requeued as (
    update jobsupervisor.job j
    set owner = null, progress = 0, updated_at = now(),
        state = case when v.verdict = 'queued' and v.next_run_at > now() then 'delayed' else 'queued' end::jobsupervisor.job_state,
        attempt = j.attempt - (v.verdict = 'given_back')::integer,
        run_at = case v.verdict when 'given_back' then j.run_at else v.next_run_at end,
        started_at = case v.verdict when 'given_back' then null else v.started_at end,
        charged = case v.verdict when 'given_back' then j.charged else v.charged end,
        offences = case v.verdict when 'given_back' then j.offences else v.offences end,
        losses = v.losses,
        failure = case v.verdict when 'given_back' then j.failure else v.outcome end,
        error = case v.verdict when 'given_back' then j.error else v.error end
    from verdict v
    where v.verdict in ('queued', 'given_back') and j.id = v.id and j.owner = v.owner and j.attempt = v.attempt
    returning j.run_at
),
-- ills}
ended as (
    delete from jobsupervisor.job j
    using verdict v
    where v.verdict in ('completed', 'failed', 'cancelled')
        and j.id = v.id and j.owner = v.owner and j.attempt = v.attempt
    returning
        j.id, j.kind, v.verdict, j.priority, j.run_at, j.attempt, v.charged, v.offences, j.max_attempts, j.timeout,
        j.memory_mb, greatest(j.progress, v.reached) as progress, v.outcome, v.error, j.user_id, j.correlation_id, j.idempotency_key,
        v.output_url, v.output_sha256, v.output_bytes, v.content_type, j.created_at, v.started_at, v.finished_at,
        j.spec, j.config
),
finished as (
    insert into jobsupervisor.finished_job (
        id, kind, status, priority, run_at, attempt, charged, max_attempts, user_id, correlation_id,
        output_url, output_sha256, output_bytes, content_type, created_at, started_at, finished_at)
    select
        e.id, e.kind, e.verdict::jobsupervisor.final_state, e.priority, e.run_at, e.attempt, e.charged, e.max_attempts,
        e.user_id, e.correlation_id,
        case e.verdict when 'completed' then e.output_url end,
        case e.verdict when 'completed' then decode(e.output_sha256, 'hex') end,
        case e.verdict when 'completed' then e.output_bytes end,
        case e.verdict when 'completed' then e.content_type end,
        e.created_at, e.started_at, now()
    from ended e
    where e.verdict in ('completed', 'cancelled')
),
ending as materialized (
    select
        v.id as job_id, v.attempt, coalesce(s.name, '?') as supervisor, v.started_at, v.finished_at, v.outcome, v.error,
        v.peak_memory_bytes, v.cpu_seconds, v.exit_signal, greatest(v.progress, v.reached) as progress, v.stderr_tail,
        v.timeout_seconds, v.memory_limit_bytes
    from verdict v
    left join jobsupervisor.supervisor s on s.id = v.owner
    where v.outcome is not null
),
recorded as (
    insert into jobsupervisor.attempt (
        job_id, attempt, supervisor, started_at, finished_at, outcome, error, peak_memory_bytes, cpu_seconds, exit_signal,
        progress, stderr_tail, timeout_seconds, memory_limit_bytes)
    select * from ending
),
-- {ills
dead as (
    insert into jobsupervisor.dead_letter (
        id, kind, priority, run_at, attempt, charged, offences, max_attempts, timeout, memory_mb, progress, failure,
        error, user_id, correlation_id, idempotency_key, created_at, started_at, history, spec, config)
    select
        e.id, e.kind, e.priority, e.run_at, e.attempt, e.charged, e.offences, e.max_attempts, e.timeout, e.memory_mb,
        e.progress, e.outcome, e.error, e.user_id, e.correlation_id, e.idempotency_key, e.created_at, e.started_at,
        coalesce(jobsupervisor.attempts_of(e.id), '[]')
            || (select jsonb_agg(to_jsonb(n) - 'job_id') from ending n where n.job_id = e.id),
        e.spec, e.config
    from ended e
    where e.verdict = 'failed'
),
-- ills}
-- As the function tell_final, which costs three times as much; of a kind's name and a status nothing must be escaped.
told as materialized (
    select count(pg_notify(
        'render_events', '{"id" : "' || e.id || '", "status" : "' || e.verdict || '", "kind" : "' || e.kind || '"}')) as told
    from ended e
),
-- Work that others may take: given back (this supervisor is stopping), to be tried again at once, or let in by a limit
-- that has a place again. Others do not stay wary of us as they do of clients, so that is said whoever is armed.
hinted as materialized (
    select count(pg_notify('jobsupervisor_wake', '')) as hinted
    where
        -- {ills
        exists (select from requeued r where r.run_at <= now()) or
        -- ills}
        -- {limits
        exists (
            select from verdict v
            join jobsupervisor.kind k on k.name = v.kind
            where k.max_running is not null)
        or exists (select from verdict) and exists (select from jobsupervisor.user_limit)
        -- limits}
        -- {free_for_all
        exists (select from limited where exists (select from verdict))
        -- free_for_all}
),
-- {ills
-- Work to be tried again later: this supervisor may have no child free by then.
put_off as materialized (
    select count(jobsupervisor.wake(r.run_at)) as put_off from requeued r where r.run_at > now()
),
-- ills}
-- What is told, here so that it is told: a part that nobody reads is not run.
said as materialized (
    select t.told + h.hinted
        -- {ills
        + (select p.put_off from put_off p)
        -- ills}
        as said
    from told t, hinted h
),
-- {progress
moved as (
    update jobsupervisor.job j
    set progress = p.progress, updated_at = now()
    from (
        select l.id, p.progress
        from jsonb_to_recordset(%(progress)s::jsonb) as p(id uuid, attempt integer, progress real)
        join jobsupervisor.job l on l.id = p.id and l.owner = %(owner)s and l.attempt = p.attempt
        -- One statement changes a row once: progress beside the job's own ack could be what counts.
        where not exists (select from ack a where a.id = p.id and a.attempt = p.attempt)
        for update of l skip locked
    ) p
    where j.id = p.id and (select count(*) from undurable) < 2
),
-- progress}
-- acks}
-- A claim that the server forgets in a crash was never made: the job is still there, and the next who claims it gets a token
-- under which the old attempt counts for nothing. So a statement that only claims, or writes progress, does not wait for the
-- disk. What is acknowledged does, and with it all that was claimed before. So does arming: nobody is woken by a supervisor
-- that only believes to be armed.
undurable as materialized (
    select set_config('synchronous_commit', 'off', true) as now
    where %(arm)s::boolean is not true
        -- {acks
        and not exists (select from ack)
        -- acks}
),
-- {free_for_all
-- One row where anything is limited.
limited as materialized (
    select from (values (0)) as v(one)
    where exists (select from jobsupervisor.user_limit)
        or exists (select from jobsupervisor.kind k where k.max_running is not null)
),
-- free_for_all}
-- {claim
-- Delayed jobs that have become due. A later claim takes them: this one does not see them.
due_now as (
    update jobsupervisor.job j
    set state = 'queued'
    from (
        select d.id from jobsupervisor.job d
        where %(want)s > 0 and d.state = 'delayed' and d.run_at <= now() and d.kind = any(%(kinds)s::text[])
        order by d.run_at
        limit 500
        for update skip locked
    ) d
    where j.id = d.id
    returning j.id
),
-- The claim. Priority first; inside a priority the tenants in turn, from the one after `cursor` on; of each tenant its
-- oldest jobs. Each step is a look into the index job_ready, so that the cost goes with what is wanted, not with how many
-- jobs or tenants there are.
kind_open as materialized (
    select k.name,
        -- {limits
        case
            when k.max_running is null then null
            when not exists (select from jobsupervisor.job j where j.state = 'queued' and j.kind = k.name) then 0
            else coalesce(jobsupervisor.places('kind', k.name, k.max_running), -1)
        end as places
        -- limits}
        -- {free_for_all
        null::integer as places
        -- free_for_all}
    from jobsupervisor.kind k
    where %(want)s > 0 and %(only)s::uuid is null and k.name = any(%(kinds)s::text[]) and not k.paused
        -- {free_for_all
        and not exists (select from limited)
        -- free_for_all}
),
front as materialized (
    select k.name, k.places, t.priority
    from kind_open k
    cross join lateral (
        select j.priority from jobsupervisor.job j
        where j.state = 'queued' and j.kind = k.name and j.priority < coalesce(%(below)s::bigint, 2147483648)
            -- {since
            and j.run_at >= %(since)s::timestamptz
            -- since}
        order by j.priority desc
        limit 1
    ) t
    where k.places is null or k.places > 0
),
lane as materialized (
    select f.name, f.places, f.priority from front f where f.priority = (select max(g.priority) from front g)
),
-- {limits
-- Tenants that have all the places that their limit allows. Not exact, since nobody counts here; `places` is.
full_tenant as materialized (
    select r.tenant
    from (
        select coalesce(j.user_id, '') as tenant, count(*) as running
        from jobsupervisor.job j
        where j.state = 'processing' and exists (select from jobsupervisor.user_limit)
        group by 1
    ) r
    where r.running >= coalesce(
        (select u.max_running from jobsupervisor.user_limit u where u.user_id = r.tenant),
        (select u.max_running from jobsupervisor.user_limit u where u.user_id = '*'))
    union
    select u.user_id from jobsupervisor.user_limit u where u.max_running = 0
),
-- limits}
-- The tenants in turn: from one to the next in the order of the index, once around.
turn(n, tenant, lap) as (
    select 0::bigint, %(cursor)s::text, 0 where exists (select from lane)
    union all
    select t.n + 1, coalesce(ahead.tenant, around.tenant), case when ahead.tenant is null then 1 else t.lap end
    from turn t
    cross join lateral (
        select min(h.tenant) as tenant
        from lane l
        cross join lateral (
            select coalesce(j.user_id, '') as tenant from jobsupervisor.job j
            where j.state = 'queued' and j.kind = l.name and j.priority = l.priority and coalesce(j.user_id, '') > t.tenant
                -- {since
                and j.run_at >= %(since)s::timestamptz
                -- since}
            order by coalesce(j.user_id, '')
            limit 1
        ) h
    ) ahead
    cross join lateral (
        select min(h.tenant) as tenant
        from lane l
        cross join lateral (
            select coalesce(j.user_id, '') as tenant from jobsupervisor.job j
            where ahead.tenant is null and t.lap = 0 and j.state = 'queued' and j.kind = l.name and j.priority = l.priority
                -- {since
                and j.run_at >= %(since)s::timestamptz
                -- since}
            order by coalesce(j.user_id, '')
            limit 1
        ) h
    ) around
    where t.n < %(want)s
        -- {limits
            + (select count(*) from full_tenant)
        -- limits}
        and coalesce(ahead.tenant, around.tenant) is not null
        and (case when ahead.tenant is null then 1 else t.lap end = 0
            or coalesce(ahead.tenant, around.tenant) <= %(cursor)s::text)
),
-- {limits
chosen as materialized (
    select t.n, t.tenant,
        case
            when u.max_running is null then null
            else coalesce(jobsupervisor.places('user', t.tenant, u.max_running), -1)
        end as places
    from (
        select t.n, t.tenant from turn t
        where t.n > 0 and t.tenant not in (select f.tenant from full_tenant f)
        order by t.n
        limit %(want)s
    ) t
    left join lateral (
        select u.max_running from jobsupervisor.user_limit u
        where u.user_id in (t.tenant, '*')
        order by (u.user_id = '*')
        limit 1
    ) u on true
),
-- limits}
-- {free_for_all
chosen as materialized (
    select t.n, t.tenant, null::integer as places from turn t where t.n > 0 order by t.n limit %(want)s
),
-- free_for_all}
picked as materialized (
    select p.id, p.kind, p.kind_places, p.n, p.tenant_places, p.round,
        row_number() over (partition by p.kind order by p.round, p.n) as kind_round
    from (
        select j.id, l.name as kind, l.places as kind_places, c.n, c.places as tenant_places,
            row_number() over (partition by c.n order by j.run_at, j.id) as round
        from chosen c
        cross join lane l
        cross join lateral (
            -- Locked here, in the order of the index: two supervisors that claim at the same time get different jobs.
            select j.id, j.run_at from jobsupervisor.job j
            where j.state = 'queued' and j.kind = l.name and j.priority = l.priority and coalesce(j.user_id, '') = c.tenant
                -- {since
                and j.run_at >= %(since)s::timestamptz
                -- since}
            order by j.run_at, j.id
            limit (%(want)s + (select count(*) from chosen) - 1) / greatest((select count(*) from chosen), 1)
            for update skip locked
        ) j
        where c.places is null or c.places > 0
    ) p
    where p.tenant_places is null or p.round <= p.tenant_places
),
free as materialized (
    select f.id, row_number() over (order by f.round, f.n) as position
    from (
        select p.id, p.round, p.n from picked p
        where p.kind_places is null or p.kind_round <= p.kind_places
        order by p.round, p.n
        limit %(want)s
    ) f
    -- {only
    union all
    select o.id, 1
    from (
        select j.id from jobsupervisor.job j
        where %(want)s > 0 and j.id = %(only)s::uuid and j.state = 'queued'
        for update skip locked
    ) o
    -- only}
),
claimed as (
    update jobsupervisor.job j
    set state = 'processing', owner = %(owner)s, attempt = j.attempt + 1, progress = 0, started_at = now(),
        updated_at = now()
    from free f
    -- The second condition always holds: a part that nobody reads is not run.
    where j.id = f.id and (select count(*) from undurable) < 2
    returning
        j.id, j.attempt, j.kind, j.spec::text as spec, j.config::text as config, f.position,
        extract(epoch from j.timeout)::double precision as timeout, j.memory_mb, j.user_id, j.correlation_id,
        extract(epoch from now() - j.run_at)::double precision as waited
),
-- claim}
-- Arming is seen by clients when this statement is committed; see the function wake. And who claims, lives: what others
-- noted of a silence before must not be held against what is claimed after it.
armed as (
    update jobsupervisor.supervisor s
    set armed = coalesce(%(arm)s::boolean, s.armed), lost_at = null
    where s.id = %(owner)s and (s.armed <> %(arm)s::boolean or s.lost_at is not null)
)
-- {claim
select 'claimed' as what, c.id, c.attempt, c.kind, c.spec, c.config, c.timeout, c.memory_mb, c.user_id, c.correlation_id,
    c.waited as seconds, c.position
from claimed c
union all
-- claim}
-- {acks
-- The verdicts: under each, which acks have it, by their places in `acks`, counted from 1. Each ack is named once. `said`
-- stands here since some verdict is read wherever there is something to say.
select w.verdict, null, null, null, string_agg(w.n::text, ','), null, null, null, null, null, null,
    (select 0 * s.said from said s) as position
from (
    select
        a.n,
        coalesce(
            v.verdict,
            case
                -- Counted, not asked for with `exists`, which would have all jobs read into a table of hashes.
                when (
                    select count(*) from jobsupervisor.job j
                    where j.id = a.id and j.owner = a.owner and j.attempt = a.attempt
                ) > 0 then 'locked'
                when jobsupervisor.is_completed(a.id, a.output_url) then 'completed'
                else 'lease_lost'
            end) as verdict
    from ack a
    left join verdict v on v.id = a.id and v.owner = a.owner and v.attempt = a.attempt
) w
group by w.verdict
union all
-- acks}
select 'cancel', j.id, j.attempt, null, null, null, null, null, null, null, null::double precision, 0 as position
from jobsupervisor.job j
where j.state = 'processing' and j.owner = %(owner)s and j.cancel_requested
    -- {acks
    and not exists (select from ack a where a.id = j.id)
    -- acks}
union all
-- `clock`: the database's, in seconds since 1970.
select 'clock', null, null, null, null, null, null, null, null, null, extract(epoch from now())::double precision, 0
-- {claim
union all
-- What follows tells a caller that got less than it wanted what to do next.
-- `due`: seconds until the next delayed job is due.
select 'due', null, null, null, null, null, null, null, null, null,
    extract(epoch from least(
        -- {acks
        -- {ills
        (select min(r.run_at) from requeued r),
        -- ills}
        -- acks}
        (select min(j.run_at) from jobsupervisor.job j
            where j.state = 'delayed' and j.run_at > now() and j.kind = any(%(kinds)s::text[]))) - now())::double precision,
    0
where (select count(*) from claimed) < %(want)s
union all
-- `more`: there is something left to claim, or there was a moment ago; ask again. What is due may be in another
-- supervisor's hands, which queues it and takes what it can: the rest is for us. Where tenants are limited it cannot be
-- told cheaply: then something is left as long as a tenant was found that has places, if only with jobs that are locked.
-- In `attempt` how many jobs this statement has queued that had become due: those the next one sees.
select 'more', null, (select count(*)::integer from due_now), null, null, null, null, null, null, null, null, 0
-- With `case`, since of conditions beside each other the server takes the dear one first where it likes.
where case
    when (select count(*) from claimed) >= %(want)s or %(only)s::uuid is not null then false
    else
        exists (
            select from jobsupervisor.job j
            where j.state = 'delayed' and j.run_at <= now() and j.kind = any(%(kinds)s::text[]))
        -- {limits
        or case
            when exists (select from jobsupervisor.user_limit)
                then exists (select from chosen c where c.places is null or c.places > 0)
            else exists (
                select from kind_open k
                cross join lateral (
                    select from jobsupervisor.job j
                    where j.state = 'queued' and j.kind = k.name and j.id not in (select f.id from free f)
                    limit 1
                ) j
                where k.places is null
                    or k.places > (select count(*) from claimed c where c.kind = k.name)
            )
        end
        -- limits}
        -- {free_for_all
        or exists (
            select from kind_open k
            cross join lateral (
                select from jobsupervisor.job j
                where j.state = 'queued' and j.kind = k.name and j.id not in (select f.id from free f)
                limit 1
            ) j)
        -- free_for_all}
    end
-- {limits
union all
-- `busy`: another supervisor was counting the places of a limit, or had just taken a tenant's last ones; ask again in a
-- moment. The next answer passes over a tenant that is full.
select 'busy', null, null, null, null, null, null, null, null, null, null, 0
where exists (select from kind_open k where k.places = -1) or exists (select from chosen c where c.places <= 0)
union all
-- `blocked`: at this priority (in `attempt`) every tenant that has a job has all its places; ask below it.
select 'blocked', null, (select max(l.priority) from lane l), null, null, null, null, null, null, null, null, 0
where exists (select from lane) and not exists (select from chosen)
-- limits}
-- claim}
-- {limits
union all
select 'unlimited', null, null, null, null, null, null, null, null, null, null, 0
where not exists (select from jobsupervisor.user_limit)
    and not exists (select from jobsupervisor.kind k where k.max_running is not null)
-- limits}
-- {free_for_all
union all
select 'limited', null, null, null, null, null, null, null, null, null, null, 0 from limited
-- free_for_all}
-- {claim
-- {mark
union all
-- `mark`: nothing that is queued was to run before this time. Where jobs are of too many tenants it is not sought.
select 'mark', null, null, l.oldest, null, null, null, null, null, null, null, 0
from (
    select min(l.run_at)::text as oldest, max(l.n) as lanes
    from jobsupervisor.lanes(
        (select array_agg(k.name) from kind_open k), coalesce(%(since)s::timestamptz, '-infinity'), 1000) l
) l
where l.lanes < 1000
-- mark}
-- {holders
union all
-- `holder`: who is writing to the queue just now, by virtual transaction; its jobs are not seen yet. Not the exchanges of
-- supervisors, which say themselves what they leave for others (`hinted`): they are known by the lock on the table of
-- supervisors, which no client's transaction has. (A session's number does not tell: a pooler lends it to clients too.)
select 'holder', null, null, l.virtualtransaction, null, null, null, null, null, null, null, 0
from pg_locks l
where (select count(*) from claimed) < %(want)s
    and l.locktype = 'relation' and l.mode = 'RowExclusiveLock' and l.granted
    and l.relation in ('jobsupervisor.job'::regclass, 'jobsupervisor.supervisor'::regclass)
    and l.database = (select d.oid from pg_database d where d.datname = current_database())
group by l.virtualtransaction
having not bool_or(l.relation = 'jobsupervisor.supervisor'::regclass)
-- holders}
-- claim}
order by position
