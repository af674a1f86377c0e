-- Makes the partitions of the coming weeks, where they are missing.
select jobsupervisor.make_weeks(now() + interval '8 weeks')
