-- The server's time of day, in seconds since 1970.
select extract(epoch from clock_timestamp())::double precision
