"""The driver's own way to the database: directly to the server, past the proxy, and patient while it recovers."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.rows import dict_row

PATIENCE = 60.0
"""Seconds after which a wait gives up. Nothing passes or fails by how long something took."""
_PAUSE_MS = 20


class Admin:
    """Statements one at a time, each on a connection of its own: no restart of the server is in its way."""

    def __init__(self, url: str) -> None:
        self._url = url

    def rows(self, statement: str, **parameters: object) -> list[dict[str, Any]]:
        """Run a statement and return its rows."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with psycopg.connect(self._url, autocommit=True, row_factory=dict_row) as connection:
                    cursor = connection.execute(statement.encode(), parameters or None)
                    return cursor.fetchall() if cursor.description else []
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                select.poll().poll(_PAUSE_MS)

    def value(self, statement: str, **parameters: object) -> Any:
        """Return the one value that a statement answers."""
        (row,) = self.rows(statement, **parameters)
        (value,) = row.values()
        return value


def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Wait for what nobody tells of: a process that ends, a row that goes."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        select.poll().poll(_PAUSE_MS)
    return True
