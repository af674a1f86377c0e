-- Drops a partition.
drop table jobsupervisor.__partition__
