-- The server's version: as a number, and in words.
select current_setting('server_version_num')::integer / 10000, split_part(version(), ' on ', 1)
