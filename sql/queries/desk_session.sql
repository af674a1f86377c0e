-- What a page may take of the database: a question that would take longer is given up, for it must not be in the way.
select set_config('statement_timeout', %(milliseconds)s, false), set_config('lock_timeout', '1s', false)
