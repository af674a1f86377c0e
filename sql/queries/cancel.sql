-- Cancels one job.
select __public__.cancel_render(%(id)s)
