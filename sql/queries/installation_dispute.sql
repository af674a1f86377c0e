-- Takes note that a store of artifacts holds what no job of this database wrote: nothing is collected there until it is adopted.
update jobsupervisor.artifact_store s set disputed_at = now() where s.place = %(place)s and s.disputed_at is null
