-- Gives this database an identity, unless it has one.
insert into jobsupervisor.installation (only_row) values (true) on conflict (only_row) do nothing
