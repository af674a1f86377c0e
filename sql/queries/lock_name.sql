-- Takes the advisory lock of a supervisor's name for this session, without waiting.
select pg_try_advisory_lock(hashtextextended('jobsupervisor ' || %(name)s, 0))
