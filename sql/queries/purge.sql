-- Deletes dead letters older than so many seconds.
select purge_dead_letters(%(seconds)s * interval '1 second')
