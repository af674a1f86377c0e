-- Lets the public functions and views be called by their plain names in this session.
select set_config('search_path', format('%%I', %(schema)s::text), false)
