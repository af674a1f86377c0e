-- Several jobs, as applications see them.
select * from render_jobs where id = any(%(ids)s)
