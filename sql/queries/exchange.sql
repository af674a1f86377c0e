-- The exchange: acknowledges what finished and claims what is free, in one statement and so in one transaction.
--
-- Parameters
--   owner          this supervisor
--   acks           JSON array, one object per attempt that ended (fields in `ack` below). Its `owner` and `attempt` are
--                  the fencing token that the claim handed out; an ack without an outcome gives back a job that never
--                  started.
--   progress       JSON array of {id, attempt, progress} for attempts that go on
--   kinds          kinds to claim;  want: at most so many;  only: null, or the one job to claim
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
-- All parts see the snapshot from before the statement: a job that is acked here into `queued` is claimed by a later
-- exchange, which `due` announces.
with ack as materialized (
    select *
    from jsonb_to_recordset(%(acks)s::jsonb) as a(
        id uuid, owner bigint, attempt integer,
        outcome jobsupervisor.outcome, charge boolean, offence boolean, error text, progress real,
        output_url text, output_sha256 text, output_bytes bigint, content_type text,
        started_ago double precision, finished_ago double precision,
        peak_memory_bytes bigint, cpu_seconds double precision, exit_signal integer)
),
held as materialized (
    select
        j.id, j.owner, j.attempt, j.kind, j.cancel_requested, j.progress,
        j.charged + a.charge::integer as charged,
        -- A supervisor's death is held against a job that was alone there, or to which it happened before.
        j.offences + (a.offence or (a.outcome = 'lost' and j.losses > 0))::integer as offences,
        j.losses + coalesce(a.outcome = 'lost', false)::integer as losses,
        coalesce(j.max_attempts, %(max_attempts)s::integer) as allowed_attempts,
        case when j.cancel_requested and a.outcome is not null then 'cancelled' else a.outcome end as outcome,
        a.error, a.progress as reached, a.output_url, a.output_sha256, a.output_bytes, a.content_type,
        now() - a.started_ago * interval '1 second' as started_at,
        now() - a.finished_ago * interval '1 second' as finished_at,
        a.peak_memory_bytes, a.cpu_seconds, a.exit_signal
    from ack a
    join jobsupervisor.job j on j.id = a.id and j.owner = a.owner and j.attempt = a.attempt
    for update of j skip locked
),
verdict as materialized (
    select
        h.*,
        case
            when h.cancel_requested then 'cancelled'
            when h.outcome is null then 'given_back'
            when h.outcome = 'ok' then 'completed'
            when h.outcome = 'cancelled' then 'cancelled'
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
requeued as (
    update jobsupervisor.job j
    set state = 'queued', owner = null, progress = 0, updated_at = now(),
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
dead as (
    insert into jobsupervisor.dead_letter (
        id, kind, priority, run_at, attempt, charged, offences, max_attempts, timeout, memory_mb, progress, failure,
        error, user_id, correlation_id, idempotency_key, created_at, started_at, spec, config)
    select
        e.id, e.kind, e.priority, e.run_at, e.attempt, e.charged, e.offences, e.max_attempts, e.timeout, e.memory_mb,
        e.progress, e.outcome, e.error, e.user_id, e.correlation_id, e.idempotency_key, e.created_at, e.started_at,
        e.spec, e.config
    from ended e
    where e.verdict = 'failed'
),
recorded as (
    insert into jobsupervisor.attempt (
        job_id, attempt, supervisor, started_at, finished_at, outcome, error, peak_memory_bytes, cpu_seconds, exit_signal)
    select
        v.id, v.attempt, coalesce(s.name, '?'), v.started_at, v.finished_at, v.outcome, v.error, v.peak_memory_bytes,
        v.cpu_seconds, v.exit_signal
    from verdict v
    left join jobsupervisor.supervisor s on s.id = v.owner
    where v.outcome is not null
),
told as materialized (
    select count(jobsupervisor.tell_final(e.id, e.verdict, e.kind)) as told from ended e
),
moved as (
    update jobsupervisor.job j
    set progress = p.progress, updated_at = now()
    from (
        select l.id, p.progress
        from jsonb_to_recordset(%(progress)s::jsonb) as p(id uuid, attempt integer, progress real)
        join jobsupervisor.job l on l.id = p.id and l.owner = %(owner)s and l.attempt = p.attempt
        -- One statement changes a row once: progress beside the job's own ack could be what counts.
        where not exists (select from ack a where a.id = p.id)
        for update of l skip locked
    ) p
    where j.id = p.id
),
free as materialized (
    select j.id
    from jobsupervisor.job j
    where j.state = 'queued' and j.run_at <= now() and j.kind = any(%(kinds)s::text[])
        and (%(only)s::uuid is null or j.id = %(only)s::uuid)
    order by j.priority desc, j.run_at, j.id
    limit %(want)s
    for update skip locked
),
claimed as (
    update jobsupervisor.job j
    set state = 'processing', owner = %(owner)s, attempt = j.attempt + 1, progress = 0, started_at = now(),
        updated_at = now()
    from free f
    where j.id = f.id
    returning
        j.id, j.attempt, j.kind, j.spec::text as spec, j.config::text as config, j.priority, j.run_at,
        extract(epoch from j.timeout)::double precision as timeout, j.memory_mb, j.user_id, j.correlation_id
)
select 'claimed' as what, c.id, c.attempt, c.kind, c.spec, c.config, c.timeout, c.memory_mb, c.user_id, c.correlation_id,
    null::double precision as seconds,
    row_number() over (order by c.priority desc, c.run_at, c.id) as position
from claimed c
union all
select
    coalesce(
        v.verdict,
        case
            when exists (
                select from jobsupervisor.job j where j.id = a.id and j.owner = a.owner and j.attempt = a.attempt
            ) then 'locked'
            when exists (
                select from jobsupervisor.finished_job f where f.id = a.id and f.output_url = a.output_url
            ) then 'completed'
            else 'lease_lost'
        end),
    a.id, a.attempt, null, null, null, null, null, null, null, null, 0
from ack a
left join verdict v on v.id = a.id and v.owner = a.owner and v.attempt = a.attempt
union all
select 'cancel', j.id, j.attempt, null, null, null, null, null, null, null, null, 0
from jobsupervisor.job j
where j.state = 'processing' and j.owner = %(owner)s and j.cancel_requested
    and not exists (select from ack a where a.id = j.id)
union all
-- Seconds until the next delayed job is due; asked only when this claim left the caller with free children. The second
-- condition never holds: it is there because a part that nobody reads is not run, and `told` must be.
select 'due', null, null, null, null, null, null, null, null, null,
    extract(epoch from least(
        (select min(j.run_at) from jobsupervisor.job j
            where j.state = 'queued' and j.run_at > now() and j.kind = any(%(kinds)s::text[])),
        (select min(r.run_at) from requeued r)) - now())::double precision,
    (select t.told from told t)
where (select count(*) from claimed) < %(want)s
    or (select t.told from told t) < 0
order by position
