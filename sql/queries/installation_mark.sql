-- Takes note that a store of artifacts is marked as this database's.
insert into jobsupervisor.artifact_store (place) values (%(place)s) on conflict (place) do nothing
