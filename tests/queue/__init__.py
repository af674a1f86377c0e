"""The queue in the database: what the SQL promises, shown on a real server."""
