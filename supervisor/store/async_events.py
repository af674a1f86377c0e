"""Final statuses as they happen, for asyncio: one LISTEN connection and one task that reads it, however many wait.

Why no event is lost: as in `supervisor.store.events`. A watch begins with LISTEN in force, its owner looks only then,
and after each reconnection every watch is told to look.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import psycopg

from supervisor.errors import DatabaseUnreachable
from supervisor.store.connection import unreachable
from supervisor.store.deadline import Deadline, pauses
from supervisor.store.job_status import RenderTimeout, ended_job
from supervisor.store.own_connection import EVENTS, closed, open_async_connection
from supervisor.store.statements import query


class AsyncEvents:
    """The LISTEN connection of a client, and its reader."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._watches: defaultdict[UUID, set[asyncio.Event]] = defaultdict(set)
        self._starting = asyncio.Lock()
        self._reader: asyncio.Task[None] | None = None
        self._closed = False

    @asynccontextmanager
    async def watch(self, job_id: UUID) -> AsyncIterator[asyncio.Event]:
        """Yield an event that is set when there is a reason to look. Raises DatabaseUnreachable."""
        heard = asyncio.Event()
        self._watches[job_id].add(heard)
        try:
            await self._start()
            yield heard
        finally:
            self._watches[job_id].discard(heard)
            if not self._watches[job_id]:
                del self._watches[job_id]

    async def wait(self, job_id: UUID, heard: asyncio.Event, deadline: Deadline) -> None:
        """Return when there is a reason to look. Raises RenderTimeout."""
        await self._start()
        try:
            async with asyncio.timeout(deadline.left()):
                await heard.wait()
        except TimeoutError:
            raise RenderTimeout(job_id) from None
        heard.clear()

    async def close(self) -> None:
        """End the reader and its connection, for good; who still waits is told so."""
        self._closed = True
        async with self._starting:
            if self._reader is not None:
                self._reader.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self._reader

    async def _start(self) -> None:
        """Have a reader, with LISTEN in force. Critical section: one of many that begin to wait at once connects."""
        async with self._starting:
            if self._closed:
                raise closed()
            if self._reader is None or self._reader.done():
                connection = await self._subscribe()
                self._reader = asyncio.create_task(self._read(connection), name="jobsupervisor client events")

    async def _subscribe(self) -> psycopg.AsyncConnection[Any]:
        connection = await open_async_connection(self._url, EVENTS)
        try:
            await connection.execute(query("listen_events"))
        except psycopg.Error as error:
            await connection.close()
            raise unreachable(error) from error
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _read(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Tell who waits what is said, on one connection after the other, until closed."""
        try:
            while True:
                try:
                    async for notice in connection.notifies():
                        self._tell(ended_job(notice.payload))
                except (psycopg.Error, UnicodeError):
                    await connection.close()
                    connection = await self._resubscribe()
                    self._tell_all()
        finally:
            await connection.close()
            # Whatever ended it: who waits looks, and finds the queue closed or starts another reader.
            self._tell_all()

    async def _resubscribe(self) -> psycopg.AsyncConnection[Any]:
        """Listen again, as soon as the database can be reached."""
        for pause in pauses():
            try:
                return await self._subscribe()
            except DatabaseUnreachable:
                await asyncio.sleep(pause)
        raise AssertionError("pauses do not end")

    def _tell(self, job_id: UUID | None) -> None:
        if job_id is not None and job_id in self._watches:
            for heard in self._watches[job_id]:
                heard.set()

    def _tell_all(self) -> None:
        for job_id in self._watches:
            self._tell(job_id)
