-- The artifacts of the jobs in a partition that is about to be dropped.
select output_url from jobsupervisor.__partition__ where output_url is not null
