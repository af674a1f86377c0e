"""A client's own connection: opened when first used, opened again when it broke, one statement at a time.

Where it goes to the server itself, what is sent often is prepared: to plan a look at a job takes the server four times as long
as the look. Where a transaction pooler is in the way, a prepared statement may be gone with the next call. A pooler gives
itself away by the process id, which it makes up.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import psycopg

from supervisor.errors import ExpectedError
from supervisor.store.connection import conninfo, unreachable
from supervisor.store.statements import query

WORK, EVENTS = "jobsupervisor client", "jobsupervisor client events"
_PREPARED_AFTER = 2
"""Times that a statement was sent unprepared."""


def open_connection(url: str, application: str) -> psycopg.Connection[Any]:
    """Open a connection in autocommit, that prepares nothing. Raises DatabaseUnreachable."""
    try:
        return psycopg.connect(conninfo(url, application), autocommit=True, prepare_threshold=None)
    except (psycopg.OperationalError, UnicodeError) as error:
        raise unreachable(error) from error


async def open_async_connection(url: str, application: str) -> psycopg.AsyncConnection[Any]:
    """Open one for asyncio, likewise."""
    try:
        return await psycopg.AsyncConnection.connect(
            conninfo(url, application), autocommit=True, prepare_threshold=None
        )
    except (psycopg.OperationalError, UnicodeError) as error:
        raise unreachable(error) from error


def _open_to_work(url: str) -> psycopg.Connection[Any]:
    """Open one that prepares what it may. Raises DatabaseUnreachable."""
    connection = open_connection(url, WORK)
    try:
        row = connection.execute(query("backend")).fetchone()
    except (psycopg.Error, UnicodeError) as error:
        connection.close()
        raise unreachable(error) from error
    _prepare_where_direct(connection, row)
    return connection


async def _open_async_to_work(url: str) -> psycopg.AsyncConnection[Any]:
    """Open one for asyncio, likewise."""
    connection = await open_async_connection(url, WORK)
    try:
        row = await (await connection.execute(query("backend"))).fetchone()
    except (psycopg.Error, UnicodeError) as error:
        await connection.close()
        raise unreachable(error) from error
    _prepare_where_direct(connection, row)
    return connection


def _prepare_where_direct(
    connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any], backend: tuple[int, ...] | None
) -> None:
    if backend == (connection.info.backend_pid,):
        connection.prepare_threshold = _PREPARED_AFTER


def is_broken(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> bool:
    """Whether the server is known to have closed it, without asking the server.

    An application's connection is idle for hours, and restarts, failovers and timeouts end it then. To find that out
    from the statement that fails would be too late: nobody could say whether it was done.
    """
    try:
        # The first read may stop at the server's last words; the second finds the end behind them.
        for _ in range(2):
            connection.pgconn.consume_input()
    except psycopg.OperationalError:
        return True
    return connection.closed


def closed() -> ExpectedError:
    """Return what is raised by a queue that was closed."""
    return ExpectedError("the queue must be open, it was closed; make a new one")


class OwnConnection:
    """One connection for all threads."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.Connection[Any] | None = None
        self._closed = False
        self._lock = threading.Lock()

    @contextmanager
    def use(self) -> Iterator[psycopg.Connection[Any]]:
        """Yield the connection. Critical section: whether it is broken, and the one statement of the block."""
        with self._lock:
            if self._closed:
                raise closed()
            if self._connection is not None and is_broken(self._connection):
                self._connection.close()
                self._connection = None
            if self._connection is None:
                self._connection = _open_to_work(self._url)
            yield self._connection

    def close(self) -> None:
        """Close it for good."""
        with self._lock:
            self._closed = True
            if self._connection is not None:
                self._connection.close()


class AsyncOwnConnection:
    """One connection for all tasks of an event loop."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._closed = False
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def use(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """Yield the connection. Critical section: whether it is broken, and the one statement of the block."""
        async with self._lock:
            if self._closed:
                raise closed()
            if self._connection is not None and is_broken(self._connection):
                await self._connection.close()
                self._connection = None
            if self._connection is None:
                self._connection = await _open_async_to_work(self._url)
            yield self._connection

    async def close(self) -> None:
        """Close it for good."""
        async with self._lock:
            self._closed = True
            if self._connection is not None:
                await self._connection.close()
