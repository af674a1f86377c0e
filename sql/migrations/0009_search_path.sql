-- Every function looks for names in pg_catalog alone, whoever calls it and from what session.
--
-- The public ones did since migration 0001, because they run with the rights of their owner. The private ones were called by
-- those, or by the supervisor's sessions, and took the search path from there: in a session whose path has a schema in which
-- somebody else may create, an operator of his for just these types wins over pg_catalog's. What a function is called from
-- must not matter. (A default, a constraint, an index or a view keeps what its names meant when it was made.)

-- The two that are called often answer what they did, but are of language plpgsql now: a function of language sql that has a path
-- of its own is no longer inlined, and up to PostgreSQL 17 is planned anew for each call.
create or replace function jobsupervisor.new_id() returns uuid
language plpgsql volatile parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
    return encode(
        set_bit(set_bit(
            overlay(
                uuid_send(gen_random_uuid())
                placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
                from 1 for 6),
            52, 1), 53, 1),
        'hex')::uuid;
end
$$;

create or replace function jobsupervisor.lanes(kinds text[], since timestamptz, most integer)
returns table (kind text, priority integer, tenant text, run_at timestamptz, n integer)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    return query
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
    select l.kind, l.priority, l.tenant, l.run_at, l.n from lane l;
end
$$;

alter function jobsupervisor.tell_final(uuid, text, text) set search_path = pg_catalog, pg_temp;
alter function jobsupervisor.wake(timestamptz) set search_path = pg_catalog, pg_temp;
alter function jobsupervisor.places(text, text, integer) set search_path = pg_catalog, pg_temp;
alter function jobsupervisor.require_kind(text) set search_path = pg_catalog, pg_temp;
alter function jobsupervisor.make_weeks(timestamptz) set search_path = pg_catalog, pg_temp;
alter function jobsupervisor.attempts_of(uuid) set search_path = pg_catalog, pg_temp;
alter function jobsupervisor.is_completed(uuid, text) set search_path = pg_catalog, pg_temp;
