"""What the tests of the clients share: databases with grants and schemas, threads, and the sessions of a queue."""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from supervisor.embedded import EmbeddedServer
from supervisor.store.events import Events
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
NO_TEXT = r"do $$ begin execute E'notify {}, ''\xff'''; end $$"
"""Notifies on a channel with a byte that is no text."""
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

    @property
    def is_waiting(self) -> bool:
        """Whether it has looked at its job and waits to be told."""
        frame = sys._current_frames().get(self._thread.ident or 0)  # noqa: SLF001 - the only way to see where a thread is
        while frame is not None:
            if frame.f_code is Events.wait.__code__:
                return True
            frame = frame.f_back
        return False

    def result(self) -> T:
        """Return what the work returned."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the thread does not end"
        if self._errors:
            raise self._errors[0]
        return self._results[0]


def until_waiting(*threads: InThread[T]) -> None:
    """Return once all of these have looked and wait."""
    pause = threading.Event()
    deadline = time.monotonic() + PATIENCE
    while not all(thread.is_waiting for thread in threads):
        assert time.monotonic() < deadline, "not all of them wait"
        pause.wait(0.01)


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
def database_of_any_bytes(server: EmbeddedServer) -> Iterator[str]:
    """Yield the URL of a migrated database whose encoding lets every byte through."""
    name = f"client_{next(_numbers)}"
    statement = "create database {} encoding 'SQL_ASCII' locale 'C' template template0"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(sql.Identifier(name)))
    migrate(server.url(name))
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


def count(url: str) -> int:
    """Return how many jobs are committed."""
    with psycopg.connect(url) as connection:
        row = connection.execute("select count(*) from render_jobs").fetchone()
        assert row is not None
        return int(row[0])


class Sessions:
    """The sessions of a queue, as the server sees them."""

    def __init__(self, url: str) -> None:
        self._url = url

    def idle(self, application: str) -> list[tuple[Any, ...]]:
        """Return process id, start of the last statement and its text, of the idle sessions."""
        with psycopg.connect(self._url) as connection:
            return connection.execute(IDLE, [application]).fetchall()

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
