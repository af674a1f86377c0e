-- One dead letter, whole.
select * from __public__.render_dead_letters where id = %(id)s
