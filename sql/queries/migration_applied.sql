-- The migrations recorded here, oldest first.
select version, name, checksum, public_schema from jobsupervisor.migration order by version
