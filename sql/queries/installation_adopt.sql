-- Takes note that a store of artifacts was taken over, with all that is stored there by now.
insert into jobsupervisor.artifact_store (place, adopted_at) values (%(place)s, now())
on conflict (place) do update set marked_at = now(), adopted_at = now(), disputed_at = null
