-- Makes this process known, with the operator's default for attempts; answers the id that its claims carry. One that was
-- forgotten comes back under the id that it had (`owner`), so that what it runs is still its own.
with defaults as (
    update jobsupervisor.default_limits d set max_attempts = %(max_attempts)s where d.max_attempts <> %(max_attempts)s
)
insert into jobsupervisor.supervisor (id, name, host, pid, concurrency, lock_key, lease_until, armed, backend_pid)
overriding system value
values (
    coalesce(%(owner)s::bigint, nextval(pg_get_serial_sequence('jobsupervisor.supervisor', 'id'))),
    %(name)s, %(host)s, %(pid)s, %(concurrency)s,
    case when %(lease)s::double precision is null then hashtextextended('jobsupervisor ' || %(name)s, 0) end,
    now() + %(lease)s::double precision * interval '1 second',
    %(lease)s::double precision is null, pg_backend_pid())
returning id
