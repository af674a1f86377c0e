"""What kind of server the database is."""

from __future__ import annotations

import time
from typing import Any

import psycopg

from supervisor.store.connection import connect, meaning
from supervisor.store.statements import query


def server_version(url: str) -> tuple[int, str]:
    """Return the major version and the server's own words. Raises DatabaseUnreachable, StatementFailed."""
    with connect(url) as connection:
        major, text = _row(connection, "server_version")
    return int(major), str(text)


def clock_difference(url: str) -> float:
    """Return by how many seconds this host's clock is ahead of the database's. Raises DatabaseUnreachable, StatementFailed.

    It is exact to half of the way there and back. A difference below one second is not told from that of a slow network.
    """
    with connect(url) as connection:
        asked = time.time()
        (there,) = _row(connection, "server_clock")
        return (asked + time.time()) / 2 - float(there)


def _row(connection: psycopg.Connection[Any], name: str) -> tuple[Any, ...]:
    try:
        row: tuple[Any, ...] | None = connection.execute(query(name)).fetchone()
    except psycopg.Error as error:
        raise meaning(error, connection, name) from error
    if row is None:
        raise RuntimeError(f"the server answered nothing to {name!r}")
    return row
