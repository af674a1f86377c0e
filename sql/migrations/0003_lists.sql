-- Indexes for people who look: the newest results, and the finished jobs of a tenant or a correlation id.
--
-- On finished work only, which is written once: claims and progress touch none of them. The first grows at its right
-- end. Each holds only the jobs that have such a value.

create index finished_job_result on jobsupervisor.finished_job (finished_at) where output_url is not null;
create index finished_job_user on jobsupervisor.finished_job (user_id, id) where user_id is not null;
create index finished_job_correlation on jobsupervisor.finished_job (correlation_id, id) where correlation_id is not null;
