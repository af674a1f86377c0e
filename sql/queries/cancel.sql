-- Cancels one job.
select cancel_render(%(id)s)
