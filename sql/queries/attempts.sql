-- The attempts of a job, in order.
select attempt, supervisor, started_at, finished_at, outcome, error, peak_memory_bytes, cpu_seconds, exit_signal
from __public__.render_attempts where job_id = %(id)s order by attempt
