-- One dead letter, whole.
select * from render_dead_letters where id = %(id)s
