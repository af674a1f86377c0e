"""The database: everything that speaks SQL. Only this package imports psycopg."""
