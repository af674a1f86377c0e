-- Frees the idempotency keys of the jobs in a partition that is about to be dropped.
delete from jobsupervisor.idempotency i using jobsupervisor.__partition__ f where i.job_id = f.id
