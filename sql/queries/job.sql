-- One job, as applications see it. The columns are named: a prepared `select *` would fail once a migration added one.
-- Runs in sessions of others: every name is written in full.
select id, kind, user_id, status, progress, attempts, max_attempts, priority, output_url, output_sha256, output_bytes,
    content_type, failure, error, correlation_id, created_at, run_at, started_at, finished_at, updated_at
from __public__.render_jobs where id operator(pg_catalog.=) %(id)s::pg_catalog.uuid
