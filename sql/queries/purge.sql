-- Deletes dead letters older than so many seconds.
select __public__.purge_dead_letters(%(seconds)s * interval '1 second')
