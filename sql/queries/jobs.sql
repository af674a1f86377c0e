-- Several jobs, as applications see them.
select * from __public__.render_jobs where id = any(%(ids)s)
