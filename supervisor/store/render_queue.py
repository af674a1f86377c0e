"""RenderQueue: what applications enqueue with, in threads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from supervisor.errors import ConfigurationError, SchemaError
from supervisor.store import calls
from supervisor.store.calls import FIND_SCHEMA, Call
from supervisor.store.deadline import Deadline
from supervisor.store.events import Events
from supervisor.store.job_status import JobStatus, UnknownJob, completed
from supervisor.store.own_connection import OwnConnection
from supervisor.store.refused import refusal
from supervisor.store.requests import RenderOptions, RenderRequest
from supervisor.store.search_path import fixed_path

T = TypeVar("T")
Connection = psycopg.Connection[Any]


def send(connection: Connection, call: Call[T], schema: str = "") -> T:
    """Send one call. Raises Refused, SchemaError or DatabaseUnreachable.

    The connection's transaction is left as the error left it.
    """
    try:
        # Not connection.cursor(): its owner may have chosen another class, with another way to write parameters.
        with psycopg.Cursor(connection, row_factory=dict_row) as cursor, fixed_path(connection):
            cursor.execute(call.text(schema), call.parameters)
            rows = cursor.fetchall() if cursor.description else []
    except (psycopg.Error, UnicodeError) as error:
        raise refusal(error, connection, call.name) from error
    return call.answer(rows)


class RenderQueue:
    """The queue, for an application.

    Given a URL it opens a connection of its own when it first needs one, in autocommit; several threads may share it;
    close it, or use it in a `with` block. Given a connection it uses that one and whatever transaction it is in, and
    neither commits nor closes it. `connection=` does the same for one call.

    `listen_url` is a direct connection for `wait` and `result`, where the URL goes through a transaction pooler or
    a connection was given.
    """

    def __init__(self, url_or_connection: str | Connection, *, listen_url: str | None = None) -> None:
        self._use: Callable[[], AbstractContextManager[Connection]]
        if isinstance(url_or_connection, psycopg.Connection):
            url, connection = listen_url, url_or_connection
            self._use = lambda: nullcontext(connection)
            self._own = OwnConnection(url) if url else None
        elif isinstance(url_or_connection, str):
            url = url_or_connection
            self._own = OwnConnection(url)
            self._use = self._own.use
        else:
            raise TypeError(
                "RenderQueue must be given a URL or a psycopg.Connection, got "
                f"{type(url_or_connection).__name__}; AsyncRenderQueue takes an AsyncConnection"
            )
        self._events = Events(listen_url or url) if url else None
        self._schema = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are its own."""
        if self._events is not None:
            self._events.close()
        if self._own is not None:
            self._own.close()

    def enqueue(
        self,
        kind: str,
        spec: Mapping[str, Any],
        config: Mapping[str, Any] | None = None,
        *,
        connection: Connection | None = None,
        **options: Unpack[RenderOptions],
    ) -> UUID:
        """Enqueue one job and return its id; the same idempotency key answers the same id. Raises Refused."""
        return self._call(calls.enqueue(RenderRequest(kind, spec, config, **options)), connection)

    def enqueue_many(self, requests: Sequence[RenderRequest], *, connection: Connection | None = None) -> list[UUID]:
        """Enqueue many jobs in one statement, all or none; return their ids in the same order. Raises Refused."""
        return self._call(calls.enqueue_many(requests), connection) if requests else []

    def status(self, job_id: UUID | str, *, connection: Connection | None = None) -> JobStatus | None:
        """Look at a job; None where there is none."""
        return self._call(calls.status(job_id), connection)

    def cancel(self, job_id: UUID | str, *, connection: Connection | None = None) -> bool:
        """Cancel a job: at once while it is queued; its child is killed while it runs. False when it is finished."""
        return self._call(calls.cancel(job_id), connection)

    def redrive(self, job_id: UUID | str, *, connection: Connection | None = None) -> UUID:
        """Put a dead letter back into the queue, under its own id. Raises Refused where it is none."""
        return self._call(calls.redrive(job_id), connection)

    def wait(self, job_id: UUID | str, timeout: timedelta | float | None = None) -> JobStatus:
        """Wait until a job has its final status, without polling, and return it.

        Raises RenderTimeout, and UnknownJob where there is no such job: the transaction that enqueued it must be
        committed. It looks with a connection of its own: in a transaction of the caller's the job might never end.
        """
        if self._own is None or self._events is None:
            raise ConfigurationError(
                "to wait, a queue must have a URL, this one was given a connection; pass listen_url="
            )
        call, wanted, deadline = calls.status(job_id), calls.job_uuid(job_id), Deadline(timeout)
        with self._events.watch(wanted) as watch:
            while True:
                with self._own.use() as connection:
                    status = self._send(connection, call)
                if status is None:
                    raise UnknownJob(wanted)
                if status.is_final:
                    return status
                watch.wait(deadline)

    def result(self, job_id: UUID | str, timeout: timedelta | float | None = None) -> JobStatus:
        """Wait as `wait` does and return the completed job. Raises RenderFailed or RenderCancelled too."""
        return completed(self.wait(job_id, timeout))

    def _call(self, call: Call[T], connection: Connection | None) -> T:
        if connection is not None:
            return self._send(connection, call)
        with self._use() as ours:
            return self._send(ours, call)

    def _send(self, connection: Connection, call: Call[T]) -> T:
        if not self._schema:
            self._schema = send(connection, FIND_SCHEMA)
        try:
            return send(connection, call, self._schema)
        except SchemaError:
            # Gone, or installed again somewhere else: the next call asks where.
            self._schema = ""
            raise
