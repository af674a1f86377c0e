"""What kind of server the database is, and who may do what in it."""

from __future__ import annotations

from typing import Any

import psycopg

from supervisor.store.connection import connect, meaning
from supervisor.store.search_path import fixed_path
from supervisor.store.statements import query


def server_version(url: str) -> tuple[int, str]:
    """Return the major version and the server's own words. Raises DatabaseUnreachable, StatementFailed."""
    (row,) = _rows(url, "server_version")
    return int(row[0]), str(row[1])


def open_schemas(url: str, public_schema: str | None) -> dict[str, str]:
    """Return the schemas that matter to us in which everybody may create, each with the statement that ends it.

    Raises DatabaseUnreachable, StatementFailed.
    """
    return {str(row[0]): str(row[1]) for row in _rows(url, "open_schemas", public_schema=public_schema)}


def _rows(url: str, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
    with connect(url) as connection:
        try:
            with fixed_path(connection):
                return connection.execute(query(statement), parameters or None).fetchall()
        except psycopg.Error as error:
            raise meaning(error, connection, statement) from error
