"""The desk: the third connection, for people and programs that ask over HTTP. Opened when somebody asks, closed soon after.

One question at a time, each with a time limit; the loop's own connections are never used for it. Whoever asks while the
database is away is told at once from what the links know: this opens no connection while a circuit is open.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import psycopg

from supervisor.errors import DatabaseUnreachable, SchemaError
from supervisor.store.async_render_queue import send
from supervisor.store.calls import FIND_SCHEMA, Call
from supervisor.store.connection import connect_async, execute, is_pooled
from supervisor.store.own_connection import is_broken
from supervisor.store.statements import sent
from supervisor.store.turns import Turns

T = TypeVar("T")

STATEMENT_SECONDS = 3.0
IDLE_SECONDS = 30.0
_QUEUE_SECONDS = 10.0
"""How long a question waits for those before it."""
_APPLICATION = "jobsupervisor desk"


class Desk:
    """Answers calls on one connection. Raises Refused, SchemaError, DatabaseUnreachable."""

    def __init__(self, url: Callable[[], str], database_is_up: Callable[[], bool], *, allowed: bool = True) -> None:
        self._url = url
        self._allowed = allowed
        self._database_is_up = database_is_up
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._schema = ""
        self._lock = Turns()
        self._closing: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, call: Call[T], *, first: bool = False) -> T:
        """Send one call and return its answer; `first`: before the questions that wait, for what changes something."""
        if not self._database_is_up():
            raise DatabaseUnreachable("the database must be reachable, and is away just now; ask /api/health why")
        if not self._allowed:
            raise DatabaseUnreachable("lists take a connection more: RENDER_MAX_CONNECTIONS must be above what is used")
        async with self._use(first=first) as connection:
            if not self._schema:
                self._schema = await send(connection, FIND_SCHEMA)
            sent[call.name] += 1
            try:
                return await send(connection, call, self._schema)
            except SchemaError:
                self._schema = ""  # installed again somewhere else, perhaps: the next question looks for it
                raise

    @asynccontextmanager
    async def _use(self, *, first: bool) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """Yield the connection. Critical section: whether it is open, and the one statement of the block."""
        try:
            await asyncio.wait_for(self._lock.take(first=first), _QUEUE_SECONDS)
        except TimeoutError:
            raise DatabaseUnreachable("too many ask, or old jobs are being dropped; ask again in a moment") from None
        try:
            self._stop_clock()
            if self._connection is None or is_broken(self._connection):
                await self._close()
                self._connection = await self._open()
            try:
                yield self._connection
            finally:
                self._closing = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._idle)
        finally:
            self._lock.leave()

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[None]:
        """Keep this connection closed for the time of a block that opens one of its own."""
        async with self._lock:
            self._stop_clock()
            await self._close()
            yield

    async def _open(self) -> psycopg.AsyncConnection[Any]:
        connection = await connect_async(self._url(), _APPLICATION)
        if not is_pooled(connection):
            try:
                await execute(connection, "desk_session", milliseconds=str(int(STATEMENT_SECONDS * 1000)))
            except BaseException:
                await connection.close()
                raise
        return connection

    def _stop_clock(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None

    def _idle(self) -> None:
        task = asyncio.ensure_future(self.close())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with contextlib.suppress(psycopg.Error):
                await connection.close()

    async def close(self) -> None:
        """Close the connection; the next question opens another."""
        async with self._lock:
            self._stop_clock()
            await self._close()
