"""What kind of server the database is, and who may do what in it."""

from __future__ import annotations

import time
from typing import Any

import psycopg

from supervisor.store.connection import connect, meaning
from supervisor.store.search_path import fixed_path
from supervisor.store.statements import query


def server_version(url: str) -> tuple[int, str]:
    """Return the major version and the server's own words. Raises DatabaseUnreachable, StatementFailed."""
    with connect(url) as connection, fixed_path(connection):
        ((major, text),) = _rows(connection, "server_version")
    return int(major), str(text)


def clock_difference(url: str) -> float:
    """Return by how many seconds this host's clock is ahead of the database's. Raises DatabaseUnreachable, StatementFailed.

    It is exact to half of the way there and back. A difference below one second is not told from that of a slow network.
    """
    with connect(url) as connection, fixed_path(connection):
        asked = time.time()
        ((there,),) = _rows(connection, "server_clock")
        return (asked + time.time()) / 2 - float(there)


def open_schemas(url: str, public_schema: str | None) -> dict[str, str]:
    """Return the schemas that matter to us in which everybody may create, each with the statement that ends it.

    Raises DatabaseUnreachable, StatementFailed.
    """
    with connect(url) as connection, fixed_path(connection):
        rows = _rows(connection, "open_schemas", public_schema=public_schema)
    return {str(name): str(statement) for name, statement in rows}


def _rows(connection: psycopg.Connection[Any], name: str, **parameters: Any) -> list[tuple[Any, ...]]:
    try:
        return connection.execute(query(name), parameters or None).fetchall()
    except psycopg.Error as error:
        raise meaning(error, connection, name) from error
