-- One job, as applications see it.
select * from render_jobs where id = %(id)s
