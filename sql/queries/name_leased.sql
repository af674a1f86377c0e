-- Whether a live lease goes by that name, for supervisors that only poll and hold no lock.
select exists (
    select from jobsupervisor.supervisor s where s.name = %(name)s and (s.lease_until > now() or s.lock_key is not null))
