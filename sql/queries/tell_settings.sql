-- Tells what an operator changed while a supervisor runs: its number of children, and the default for attempts.
with defaults as (
    update jobsupervisor.default_limits d set max_attempts = %(max_attempts)s where d.max_attempts <> %(max_attempts)s
)
update jobsupervisor.supervisor s set concurrency = %(concurrency)s where s.id = %(owner)s
