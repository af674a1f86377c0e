-- What keeps claims quick while somebody's old snapshot keeps the rows of jobs that are over from being cleaned up. They stay in
-- the indexes, and whoever looks for the first queued job passes by all that were queued before it.

-- Who asks which of its jobs are cancelled would pass by all that it ever ran.
create index job_cancelled on jobsupervisor.job (owner) where state = 'processing' and cancel_requested;

-- The lanes (kind, priority and tenant) in which something is queued, each with its oldest run_at; of each kind the first so
-- many, numbered from 1, in the order of the index job_ready: one step down that index for each. `since` passes over what
-- was to run before: where nothing is left of that, its dead entries need not be read.
create function jobsupervisor.lanes(kinds text[], since timestamptz, most integer)
returns table (kind text, priority integer, tenant text, run_at timestamptz, n integer)
language sql stable
as $$
    with recursive lane as (
        select k.name as kind, f.priority, f.tenant, f.run_at, 1 as n
        from unnest(kinds) k (name)
        cross join lateral (
            select j.priority, coalesce(j.user_id, '') as tenant, j.run_at
            from jobsupervisor.job j
            where j.state = 'queued' and j.kind = k.name and j.run_at >= since
            order by j.priority desc, coalesce(j.user_id, ''), j.run_at
            limit 1
        ) f
        union all
        select
            l.kind, coalesce(tenant.priority, priority.priority), coalesce(tenant.tenant, priority.tenant),
            coalesce(tenant.run_at, priority.run_at), l.n + 1
        from lane l
        -- The next tenant of the same priority; where there is none the next priority.
        left join lateral (
            select j.priority, coalesce(j.user_id, '') as tenant, j.run_at
            from jobsupervisor.job j
            where j.state = 'queued' and j.kind = l.kind and j.priority = l.priority and coalesce(j.user_id, '') > l.tenant
                and j.run_at >= since
            order by coalesce(j.user_id, ''), j.run_at
            limit 1
        ) tenant on true
        left join lateral (
            select j.priority, coalesce(j.user_id, '') as tenant, j.run_at
            from jobsupervisor.job j
            where tenant.priority is null and j.state = 'queued' and j.kind = l.kind and j.priority < l.priority
                and j.run_at >= since
            order by j.priority desc, coalesce(j.user_id, ''), j.run_at
            limit 1
        ) priority on true
        where l.n < most and coalesce(tenant.priority, priority.priority) is not null
    )
    select l.kind, l.priority, l.tenant, l.run_at, l.n from lane l
$$;
