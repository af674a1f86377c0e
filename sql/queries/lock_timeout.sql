-- How long a statement of this session waits for a lock, in milliseconds.
select set_config('lock_timeout', %(milliseconds)s::text, false)
