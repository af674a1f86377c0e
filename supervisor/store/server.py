"""What kind of server the database is."""

from __future__ import annotations

from supervisor.store.connection import connect
from supervisor.store.statements import query


def server_version(url: str) -> tuple[int, str]:
    """Return the major version and the server's own words. Raises DatabaseUnreachable."""
    with connect(url) as connection:
        row = connection.execute(query("server_version")).fetchone()
    if row is None:
        raise RuntimeError("the server answered no version")
    return int(row[0]), str(row[1])
