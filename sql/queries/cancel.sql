-- Cancels one job. Runs in sessions of others: every name is written in full.
select __public__.cancel_render(%(id)s::pg_catalog.uuid)
