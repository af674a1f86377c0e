-- The fallback poll, and all that an idle supervisor ever sends: heartbeat, lost supervisors, and whether there is
-- anything to claim.
--
-- Parameters: owner (this supervisor), name (its name), lease (seconds, or null while a LISTEN session holds the lock),
-- grace (seconds that another supervisor may be without its lock), interval (seconds until the next poll), kinds, only, known (JSON array of {id, attempt}: every
-- claim that this supervisor has), observed (JSON array of {id, seen, seen_for, lost, lost_for}: what the caller saw of the
-- others before, in the texts of `sign`, and for how many seconds it has seen the same). Where it is asked whether retention
-- has work, part `old`, retention_days: what ended longer ago, unless it is 0.
--
-- A supervisor is gone when the session that held its advisory lock is gone (the server frees the lock the moment that
-- its process dies), or when its lease has passed, and it does not come back within the grace period. One of our own name is gone at once: we hold the lock that it held
-- (unless we only poll: then we hold none, and it may live).
-- Another one gets the grace period, since a live one whose connection dropped comes back and takes its lock again.
-- One that holds its lock and has not looked for twice the grace period after it should have is stopped or hung: its
-- session lives, its children do not get on. It gets the grace period too, and is fenced when it wakes.
-- A claim of a supervisor that is not listed any more is an orphan too: it was forgotten while its claim was under way,
-- and nobody else would ever look for it.
-- pg_locks is read, not the lock tried: a trial would make a supervisor that starts just then take another name.
--
-- How long another one is silent is measured by the caller's monotonic clock, never by the database's: that one may be set
-- forward while everybody lives. So this statement compares no time with now(). `sign` tells the caller when each other
-- supervisor looked last (seen_at) and since when it counts as silent (lost_at, null where it does not), as texts that are
-- compared for equality and nothing else; the caller says with the next poll for how long it has seen the same. How long
-- another one may be silent follows from its own row: next_poll_at - seen_at is its interval, lease_until - seen_at its lease.
-- A claim clears lost_at (see `armed` in the exchange), so that a silence that lies behind it does not count.
--
-- The jobs of one that is gone are returned as `orphan` with the token under which they were claimed; the caller acks them as `lost` in its
-- next exchange. Should the dead one live after all, whoever writes first under that token wins, the other finds it gone.
--
-- A job that this supervisor owns and that is not among `known` is returned as `unknown`: the answer to its claim was lost
-- with the connection. It never started, and is given back in the next exchange.
with me as (
    update jobsupervisor.supervisor s
    set seen_at = now(), lost_at = null, lease_until = now() + %(lease)s::double precision * interval '1 second',
        backend_pid = pg_backend_pid(), next_poll_at = now() + %(interval)s::double precision * interval '1 second'
    where s.id = %(owner)s
    returning s.id
),
held_locks as materialized (
    select (l.classid::bigint << 32) | l.objid::bigint as key
    from pg_locks l
    where l.locktype = 'advisory' and l.objsubid = 1 and l.granted
        and l.database = (select d.oid from pg_database d where d.datname = current_database())
),
observed as materialized (
    select o.id, o.seen, o.seen_for, o.lost, o.lost_for
    from jsonb_to_recordset(%(observed)s::jsonb) as o(
        id bigint, seen text, seen_for double precision, lost text, lost_for double precision)
),
other as materialized (
    select
        s.id, s.name, s.lock_key, extract(epoch from s.seen_at)::text as seen,
        case when q.silent then extract(epoch from coalesce(s.lost_at, now()))::text end as lost, s.lost_at, q.silent
    from jobsupervisor.supervisor s
    left join observed o on o.id = s.id and o.seen = extract(epoch from s.seen_at)::text
    cross join lateral (
        select case
            when s.lock_key is null then o.seen_for >= extract(epoch from s.lease_until - s.seen_at)
            else
                s.lock_key not in (select h.key from held_locks h)
                or (s.name = %(name)s and %(lease)s::double precision is null)
                or o.seen_for >= extract(epoch from s.next_poll_at - s.seen_at) + 2 * %(grace)s::double precision
        end is true as silent
    ) q
    where s.id <> %(owner)s
),
noted as (
    update jobsupervisor.supervisor s
    set lost_at = case when o.silent then now() end
    from other o
    where s.id = o.id and o.silent <> (s.lost_at is not null)
),
silent_for as materialized (
    select o.id, o.name, o.lock_key, coalesce(b.lost_for, 0) as seconds, b.id is not null as seen_before
    from other o
    left join observed b on b.id = o.id and b.lost = o.lost
    where o.silent
),
gone as materialized (
    select o.id
    from silent_for o
    where (o.name = %(name)s and o.lock_key is not null and %(lease)s::double precision is null)
        or (o.seen_before and o.seconds >= %(grace)s::double precision)
),
orphan as materialized (
    select j.id, j.owner, j.attempt, j.kind, j.user_id, j.correlation_id, j.started_at,
        -- Not held against a job whose supervisor is not listed: nobody can say what else it had.
        g.id is not null and count(*) over (partition by j.owner) = 1 as alone
    from jobsupervisor.job j
    left join gone g on g.id = j.owner
    where j.state = 'processing' and j.owner <> %(owner)s
        and (g.id is not null or not exists (select from jobsupervisor.supervisor s where s.id = j.owner))
    limit 1000
),
forgotten as (
    delete from jobsupervisor.supervisor s
    using gone g
    where s.id = g.id and not exists (select from jobsupervisor.job j where j.state = 'processing' and j.owner = g.id)
),
-- For metrics and alerts, which send no statement of their own. What each costs is bounded, whatever the backlog: jobs are
-- counted up to a thousand of a kind, and the oldest of a kind is sought among its first thousand lanes.
lane as (
    select l.kind, l.run_at
    from jobsupervisor.lanes((select array_agg(k.name) from jobsupervisor.kind k), '-infinity', 1000) l
)
select 'orphan' as what, o.id, o.owner, o.attempt, o.kind, o.user_id, o.correlation_id, o.alone,
    extract(epoch from now() - o.started_at)::double precision as seconds
from orphan o
union all
select 'unknown', j.id, j.owner, j.attempt, j.kind, j.user_id, j.correlation_id, null, null
from jobsupervisor.job j
where j.state = 'processing' and j.owner = %(owner)s
    and not exists (
        select from jsonb_to_recordset(%(known)s::jsonb) as k(id uuid, attempt integer)
        where k.id = j.id and k.attempt = j.attempt)
union all
-- What the caller is to compare with at its next poll: when each other one looked last, and since when it is silent.
select 'sign', null, o.id, null, o.seen, o.lost, null, null, null
from other o
union all
-- Somebody is silent but still inside the grace period: look again when it ends.
select 'look_again', null, null, null, null, null, null, null, min(%(grace)s::double precision - o.seconds)
from silent_for o
where o.id not in (select g.id from gone g)
having count(*) > 0
union all
select 'work', null, null, null, null, null, null, null, null
where exists (
    select from jobsupervisor.kind k
    cross join lateral (select from jobsupervisor.job j where j.state = 'queued' and j.kind = k.name limit 1) j
    where k.name = any(%(kinds)s::text[]) and not k.paused and %(only)s::uuid is null)
    or exists (select from jobsupervisor.job j where j.id = %(only)s::uuid and j.state = 'queued')
union all
select 'due', null, null, null, null, null, null, null, extract(epoch from min(j.run_at) - now())::double precision
from jobsupervisor.job j
where j.state = 'delayed' and j.kind = any(%(kinds)s::text[])
having min(j.run_at) is not null
union all
select 'unregistered', null, null, null, null, null, null, null, null
where not exists (select from me)
union all
-- Who is writing to the queue just now, by virtual transaction; see `holder` in the exchange.
select 'holder', null, null, null, l.virtualtransaction, null, null, null, null
from pg_locks l
where l.locktype = 'relation' and l.mode = 'RowExclusiveLock' and l.granted
    and l.relation in ('jobsupervisor.job'::regclass, 'jobsupervisor.supervisor'::regclass)
    and l.database = (select d.oid from pg_database d where d.datname = current_database())
group by l.virtualtransaction
having not bool_or(l.relation = 'jobsupervisor.supervisor'::regclass)
union all
select 'depth', null, null, (
        select count(*) from (select from jobsupervisor.job j where j.state = 'queued' and j.kind = k.name limit 1000) j
    )::integer, k.name, null, null, null, (select extract(epoch from now() - min(l.run_at)) from lane l where l.kind = k.name)
from jobsupervisor.kind k
union all
select 'running', null, null, count(*)::integer, null, null, null, null, null
from jobsupervisor.job j
where j.state = 'processing'
union all
-- All that is in the table, where the thousand are too few: the statistics' own estimate.
select 'live', null, null, pg_stat_get_live_tuples('jobsupervisor.job'::regclass)::integer, null, null, null, null, null
union all
select 'dead_letters', null, null, count(*)::integer, null, null, null, null, null
from (select from jobsupervisor.dead_letter limit 1000) d
union all
-- {old
-- `old`: retention has work here. Asked by the poll once in hours, so that an idle night sends nothing else.
select 'old', null, null, null, null, null, null, null, null
where exists (
        select from (values ('finished_job'), ('attempt')) as parent(name)
        where to_regclass('jobsupervisor.' || parent.name || to_char(
            date_trunc('week', now() + interval '8 weeks', 'UTC') at time zone 'UTC', '_IYYY"w"IW')) is null)
    or %(retention_days)s::double precision > 0 and (
        exists (
            select from pg_inherits i
            join pg_class c on c.oid = i.inhrelid
            where i.inhparent in ('jobsupervisor.finished_job'::regclass, 'jobsupervisor.attempt'::regclass)
                and c.relname ~ '_\d{4}w\d{2}$'
                and to_date(right(c.relname, 7), 'IYYY"w"IW') + interval '7 days'
                    < now() - %(retention_days)s::double precision * interval '1 day')
        or exists (
            select from jobsupervisor.finished_job_default f
            where f.finished_at < now() - %(retention_days)s::double precision * interval '1 day')
        or exists (
            select from jobsupervisor.attempt_default a
            where a.finished_at < now() - %(retention_days)s::double precision * interval '1 day'))
union all
-- old}
-- The oldest snapshot that anybody holds, in transactions and in seconds: rows that died since are not cleaned up. Of
-- other roles' sessions it is seen only by a member of pg_read_all_stats.
select 'horizon', null, null, max(age(a.backend_xmin)), null, null, null, null,
    extract(epoch from now() - min(a.xact_start) filter (where a.backend_xmin is not null))
from pg_stat_activity a
where a.pid <> pg_backend_pid()
union all
-- The database's clock.
select 'clock', null, null, null, null, null, null, null, extract(epoch from now())::double precision
