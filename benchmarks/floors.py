"""What the database itself takes for the commits and notifications that a job needs, with no job at all."""

from __future__ import annotations

import time

from benchmarks.driver import Connection, events

TABLE = "floor"


def prepare(client: Connection, echo: Connection) -> None:
    """Make the table, and have each side listen to the other."""
    client.execute(f"create table {TABLE} (n integer)")
    client.execute("listen floor_answer")
    echo.execute("listen floor")


def claim(client: Connection, echo: Connection) -> float:
    """Commit and notify; the other side hears it and commits, as one that claims. Seconds."""
    started = time.perf_counter()
    client.execute("insert into floor values (1) returning pg_notify('floor', '')")
    events(echo, 1)
    echo.execute("insert into floor values (2)")
    return time.perf_counter() - started


def round_trip(client: Connection, echo: Connection) -> float:
    """Commit and notify; the other side hears it, commits and notifies; this side hears that. Seconds."""
    started = time.perf_counter()
    client.execute("insert into floor values (1) returning pg_notify('floor', '')")
    events(echo, 1)
    echo.execute("insert into floor values (2) returning pg_notify('floor_answer', '')")
    events(client, 1)
    return time.perf_counter() - started
