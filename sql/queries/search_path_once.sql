-- Sets where the rest of this transaction looks for names. For poolers, which keep a transaction in one session.
select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)
