"""What the tests of the clients share: databases with grants and schemas, threads, and the sessions of a queue."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from supervisor.embedded import EmbeddedServer
from supervisor.store.migrate import migrate
from supervisor.store.own_connection import EVENTS, WORK
from tests.plugins.databases import create_database, drop_database

T = TypeVar("T")
PATIENCE = 60.0
"""Seconds after which a wait gives up. No test passes or fails by how long something took."""
ROLE = "client_app"
IDLE = """
select pid, query_start, query from pg_stat_activity
where datname = current_database() and application_name = %s and state = 'idle'
"""
END = """
select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity
where datname = current_database() and application_name = %s
"""
_numbers = itertools.count(1)


class InThread(Generic[T]):
    """Work in a thread of its own; `result` joins it, and raises what it raised."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._results: list[T] = []
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._results.append(self._work())
        except BaseException as error:  # noqa: BLE001 - raised again where it is asked for
            self._errors.append(error)

    def result(self) -> T:
        """Return what the work returned."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the thread does not end"
        if self._errors:
            raise self._errors[0]
        return self._results[0]


@contextmanager
def database_with_schema(server: EmbeddedServer, schema: str) -> Iterator[str]:
    """Yield the URL of a database whose public functions are in another schema."""
    name = f"client_{next(_numbers)}"
    create_database(server, name, "template1")
    with psycopg.connect(server.url(name)) as connection:
        connection.execute(sql.SQL("create schema {}").format(sql.Identifier(schema)))
    migrate(server.url(name), schema)
    yield server.url(name)
    assert drop_database(server, name) == []


@contextmanager
def enqueuing_role(url: str) -> Iterator[str]:
    """Yield the URL of a role that has nothing but jobsupervisor_enqueuer. Roles belong to the server."""
    role = sql.Identifier(ROLE)
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(sql.SQL("create role {} login").format(role))
        try:
            owner.execute(sql.SQL("grant jobsupervisor_enqueuer to {}").format(role))
            yield make_conninfo(url, user=ROLE)
        finally:
            owner.execute(sql.SQL("drop owned by {}").format(role))
            owner.execute(sql.SQL("drop role {}").format(role))


class Sessions:
    """The sessions of a queue, as the server sees them."""

    def __init__(self, url: str) -> None:
        self._url = url

    def idle(self, application: str) -> list[tuple[Any, ...]]:
        """Return process id, start of the last statement and its text, of the idle sessions."""
        with psycopg.connect(self._url) as connection:
            return connection.execute(IDLE, [application]).fetchall()

    def until_waiting(self, count: int = 1) -> list[tuple[Any, ...]]:
        """Return the sessions of statements once a waiter has subscribed and looked: from then on it only listens."""
        pause = threading.Event()
        for _ in range(int(PATIENCE / 0.02)):
            looked = [row for row in self.idle(WORK) if "render_jobs" in row[2]]
            if len(looked) == count and any(row[2].startswith("-- Subscribes") for row in self.idle(EVENTS)):
                return looked
            pause.wait(0.02)
        raise AssertionError(f"nobody waits: {self.idle(WORK)} {self.idle(EVENTS)}")

    @contextmanager
    def away(self, server: EmbeddedServer) -> Iterator[psycopg.Connection[Any]]:
        """Let nobody connect, and end the queue's sessions; yield a connection that was there before."""
        allow = sql.SQL("alter database {} with allow_connections {}")
        name = sql.Identifier(str(conninfo_to_dict(self._url)["dbname"]))
        with (
            psycopg.connect(server.url(), autocommit=True) as elsewhere,
            psycopg.connect(self._url, autocommit=True) as there,
        ):
            elsewhere.execute(allow.format(name, sql.SQL("false")))
            try:
                for application in (EVENTS, WORK):
                    assert there.execute(END, [application]).fetchone() == (1,)
                yield there
            finally:
                elsewhere.execute(allow.format(name, sql.SQL("true")))

    def end(self, application: str) -> int:
        """End a queue's sessions of one kind, return how many; they are gone when this returns."""
        with psycopg.connect(self._url) as connection:
            row = connection.execute(END, [application]).fetchone()
            assert row is not None
            return int(row[0])
