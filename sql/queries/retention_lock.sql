-- One supervisor at a time keeps house; freed with the session.
select pg_try_advisory_lock(hashtextextended('jobsupervisor retention', 0))
