"""Servers that a test may break, and waits: for a line of the service's log, for a try to connect, for a condition."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from supervisor.embedded import EmbeddedServer
from supervisor.store.migrate import migrate
from tests.plugins.databases import MEMORY
from tests.service.support import PATIENCE, Service

T = TypeVar("T")

SESSIONS = """
    select application_name, pid from pg_stat_activity
    where datname = current_database() and application_name like 'jobsupervisor%'
"""


def memory_directory() -> Path | None:
    """Return a directory in memory, where one can be written to."""
    return MEMORY if os.access(MEMORY, os.W_OK) else None


@contextlib.contextmanager
def migrated_server(
    options: Mapping[str, str] | None = None, *, tcp: bool = False, parent: Path | None = None
) -> Iterator[EmbeddedServer]:
    """Run a server of this test's own, with the schema in its database `postgres`."""
    with EmbeddedServer.start(
        options=options or {}, tcp=tcp, roles=True, parent=parent or memory_directory()
    ) as server:
        migrate(server.url())
        yield server


def end(server: EmbeddedServer, number: int = signal.SIGINT) -> None:
    """End a server by a signal (SIGINT: fast, SIGQUIT: immediate shutdown) and wait; `restart` brings it back."""
    descriptor = os.pidfd_open(server.pid)
    try:
        os.kill(server.pid, number)
        assert select.select([descriptor], [], [], PATIENCE)[0], "the server did not end"
    finally:
        os.close(descriptor)


def knocks(server: EmbeddedServer, count: int) -> None:
    """Stand at the door of a server that is down: return when that many tries to connect have come."""
    door = server.socket_directory / f".s.PGSQL.{server.port}"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(door))
        listening.listen()
        listening.settimeout(PATIENCE)
        for _ in range(count):
            listening.accept()[0].close()
    door.unlink()


def wait_until(condition: Callable[[], T], told: Callable[[], object]) -> T:
    """Wait until a condition holds and return what it returned; `told` is what the failure shows."""
    pause = select.poll()
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := condition():
            return found
        pause.poll(20)
    raise AssertionError(f"never; {told()}")


def event(service: Service, name: str, **fields: object) -> dict[str, Any]:
    """Wait for a line of the service's log; return the first that has these fields."""

    def found() -> dict[str, Any] | None:
        return next((line for line in service.events(name) if fields.items() <= line.items()), None)

    line = wait_until(found, lambda: f"no {name} {fields} in\n{service.log.read_text()}")
    assert line is not None
    return line


def changes(service: Service) -> list[tuple[str, str]]:
    """Return what the log says of the database, in order: event and connection."""
    names = ("database.lost", "database.troubled", "database.recovered")
    lines = sorted((line for name in names for line in service.events(name)), key=lambda line: line["timestamp"])
    return [(line["event"].removeprefix("database."), line["connection"]) for line in lines]


def recovered(service: Service, *connections: str) -> None:
    """Wait until these connections were lost and came back, each told with one line."""
    for connection in connections:
        event(service, "database.recovered", connection=connection)
        assert [what for what, which in changes(service) if which == connection] == ["lost", "recovered"]


def files(service: Service) -> list[Path]:
    """Return the artifacts that are published."""
    return service.published()


def sessions(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """Return the process ids of the service's sessions, by application name."""
    return {str(name): int(pid) for name, pid in connection.execute(SESSIONS)}
