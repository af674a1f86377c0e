-- Tells what an operator changed while a supervisor runs: its number of children, the default for attempts, and what
-- no job is above.
with defaults as (
    update jobsupervisor.default_limits d
    set max_attempts = %(max_attempts)s, attempts_limit = %(attempts_limit)s, max_priority = %(max_priority)s
    where (d.max_attempts, d.attempts_limit) <> (%(max_attempts)s::integer, %(attempts_limit)s::integer)
        or d.max_priority is distinct from %(max_priority)s::integer
)
update jobsupervisor.supervisor s set concurrency = %(concurrency)s where s.id = %(owner)s
