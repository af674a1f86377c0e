-- Makes this process known, with the operator's default for attempts and what no job is above; answers the id that its claims carry. One that was
-- forgotten comes back under the id that it had (`owner`), so that what it runs is still its own.
with defaults as (
    update jobsupervisor.default_limits d
    set max_attempts = %(max_attempts)s, attempts_limit = %(attempts_limit)s, max_priority = %(max_priority)s
    -- Not by who renders one job for a person, with the settings of his shell.
    where %(tells)s and ((d.max_attempts, d.attempts_limit) <> (%(max_attempts)s::integer, %(attempts_limit)s::integer)
        or d.max_priority is distinct from %(max_priority)s::integer)
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
