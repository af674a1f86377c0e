-- Whether migrations were ever recorded here.
select to_regclass('jobsupervisor.migration') is not null
