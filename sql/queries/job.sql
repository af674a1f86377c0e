-- One job, as applications see it.
select * from __public__.render_jobs where id = %(id)s
