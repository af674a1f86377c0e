"""AsyncRenderQueue: what applications enqueue with, in asyncio."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from supervisor.errors import ConfigurationError, SchemaError
from supervisor.store import calls
from supervisor.store.async_events import AsyncEvents
from supervisor.store.calls import FIND_SCHEMA, Call
from supervisor.store.deadline import Deadline
from supervisor.store.job_status import JobStatus, UnknownJob, completed
from supervisor.store.own_connection import AsyncOwnConnection
from supervisor.store.refused import refusal
from supervisor.store.requests import RenderOptions, RenderRequest
from supervisor.store.search_path import fixed_path_async

T = TypeVar("T")
Connection = psycopg.AsyncConnection[Any]


async def send(connection: Connection, call: Call[T], schema: str = "") -> T:
    """Send one call. Raises Refused, SchemaError or DatabaseUnreachable.

    The connection's transaction is left as the error left it.
    """
    try:
        # Not connection.cursor(): its owner may have chosen another class, with another way to write parameters.
        async with psycopg.AsyncCursor(connection, row_factory=dict_row) as cursor:
            async with fixed_path_async(connection):
                await cursor.execute(call.text(schema), call.parameters)
            rows = await cursor.fetchall() if cursor.description else []
    except (psycopg.Error, UnicodeError) as error:
        raise refusal(error, connection, call.name) from error
    return call.answer(rows)


class AsyncRenderQueue:
    """The queue, for an application: `RenderQueue` for asyncio.

    One for each event loop; its tasks share one connection for statements, and one for LISTEN however many of them wait.
    """

    def __init__(self, url_or_connection: str | Connection, *, listen_url: str | None = None) -> None:
        self._use: Callable[[], AbstractAsyncContextManager[Connection]]
        if isinstance(url_or_connection, psycopg.AsyncConnection):
            url, connection = listen_url, url_or_connection
            self._use = lambda: nullcontext(connection)
            self._own = AsyncOwnConnection(url) if url else None
        elif isinstance(url_or_connection, str):
            url = url_or_connection
            self._own = AsyncOwnConnection(url)
            self._use = self._own.use
        else:
            raise TypeError(
                "AsyncRenderQueue must be given a URL or a psycopg.AsyncConnection, got "
                f"{type(url_or_connection).__name__}; RenderQueue takes a Connection"
            )
        self._events = AsyncEvents(listen_url or url) if url else None
        self._schema = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections that are its own."""
        if self._events is not None:
            await self._events.close()
        if self._own is not None:
            await self._own.close()

    async def enqueue(
        self,
        kind: str,
        spec: Mapping[str, Any],
        config: Mapping[str, Any] | None = None,
        *,
        connection: Connection | None = None,
        **options: Unpack[RenderOptions],
    ) -> UUID:
        """Enqueue one job and return its id; the same idempotency key answers the same id. Raises Refused."""
        return await self._call(calls.enqueue(RenderRequest(kind, spec, config, **options)), connection)

    async def enqueue_many(
        self, requests: Sequence[RenderRequest], *, connection: Connection | None = None
    ) -> list[UUID]:
        """Enqueue many jobs in one statement, all or none; return their ids in the same order. Raises Refused."""
        return await self._call(calls.enqueue_many(requests), connection) if requests else []

    async def status(self, job_id: UUID | str, *, connection: Connection | None = None) -> JobStatus | None:
        """Look at a job; None where there is none."""
        return await self._call(calls.status(job_id), connection)

    async def cancel(self, job_id: UUID | str, *, connection: Connection | None = None) -> bool:
        """Cancel a job: at once while it is queued; its child is killed while it runs. False when it is finished."""
        return await self._call(calls.cancel(job_id), connection)

    async def redrive(self, job_id: UUID | str, *, connection: Connection | None = None) -> UUID:
        """Put a dead letter back into the queue, under its own id. Raises Refused where it is none."""
        return await self._call(calls.redrive(job_id), connection)

    async def wait(self, job_id: UUID | str, timeout: timedelta | float | None = None) -> JobStatus:  # noqa: ASYNC109 - as RenderQueue's
        """Wait until a job has its final status, without polling, and return it. Raises as RenderQueue.wait."""
        if self._own is None or self._events is None:
            raise ConfigurationError(
                "to wait, a queue must have a URL, this one was given a connection; pass listen_url="
            )
        call, wanted, deadline = calls.status(job_id), calls.job_uuid(job_id), Deadline(timeout)
        async with self._events.watch(wanted) as heard:
            while True:
                async with self._own.use() as connection:
                    status = await self._send(connection, call)
                if status is None:
                    raise UnknownJob(wanted)
                if status.is_final:
                    return status
                await self._events.wait(wanted, heard, deadline)

    async def result(self, job_id: UUID | str, timeout: timedelta | float | None = None) -> JobStatus:  # noqa: ASYNC109 - as RenderQueue's
        """Wait as `wait` does and return the completed job. Raises RenderFailed or RenderCancelled too."""
        return completed(await self.wait(job_id, timeout))

    async def _call(self, call: Call[T], connection: Connection | None) -> T:
        if connection is not None:
            return await self._send(connection, call)
        async with self._use() as ours:
            return await self._send(ours, call)

    async def _send(self, connection: Connection, call: Call[T]) -> T:
        if not self._schema:
            self._schema = await send(connection, FIND_SCHEMA)
        try:
            return await send(connection, call, self._schema)
        except SchemaError:
            # Gone, or installed again somewhere else: the next call asks where.
            self._schema = ""
            raise
