"""What kind of server the database is."""

from __future__ import annotations

import psycopg

from supervisor.store.connection import connect, meaning
from supervisor.store.statements import query


def server_version(url: str) -> tuple[int, str]:
    """Return the major version and the server's own words. Raises DatabaseUnreachable, StatementFailed."""
    with connect(url) as connection:
        try:
            row = connection.execute(query("server_version")).fetchone()
        except psycopg.Error as error:
            raise meaning(error, connection, "server_version") from error
    if row is None:
        raise RuntimeError("the server answered no version")
    return int(row[0]), str(row[1])
