"""The LISTEN connection: wake-ups and cancellations come in here, and it holds the lock of the supervisor's name.

The session's advisory lock is the sign of life that others go by: the server frees it the moment this process is gone.
When only the connection breaks, the process lives on and takes its name again; its own half-dead session may still hold
the lock, and is ended, since it is ours.

All this needs one session on one server. Through a pooler that shares its sessions by transaction, notifications get lost
and the lock stays with whoever is next: that is refused. One that gives each client a session of its own will do, and
cannot be told apart for sure; what can be shown is that two of our connections got the same session.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import psycopg
import structlog

from supervisor.errors import ConfigurationError, DatabaseUnreachable
from supervisor.settings import Settings
from supervisor.store.connection import backend_pid, connect_async, execute, is_pooled, unreachable

log = structlog.get_logger()

_APPLICATION = "jobsupervisor listen"
_MOST_NAMES = 1000
_SECOND_SESSION_SECONDS = 5.0
"""How long a second connection through a pooler may take; one that gives out whole sessions may have none left."""


class Listener:
    """One LISTEN session. `on_wake` gets the payload of a wake-up, `on_cancel` a job's id."""

    def __init__(self, settings: Settings, on_wake: Callable[[str], None], on_cancel: Callable[[str], None]) -> None:
        self._settings = settings
        self._on_wake = on_wake
        self._on_cancel = on_cancel
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._backends: list[int] = []

    async def connect(self, name: str | None = None) -> str:
        """Open the session, take a name, subscribe; return the name. Raises DatabaseUnreachable, StatementFailed.

        `name` is the one that this process went by before, to be taken again.
        """
        await self.close()
        connection = await connect_async(self._settings.listen_url, _APPLICATION)
        try:
            backend = connection.info.backend_pid
            if is_pooled(connection):
                backend = await self._session_of_its_own(connection)
            self._backends.append(backend)
            taken = await self._take_name(connection, name)
            await execute(connection, "listen")
        except BaseException:
            await connection.close()
            raise
        self._connection = connection
        self._backends = [backend]
        return taken

    async def _session_of_its_own(self, connection: psycopg.AsyncConnection[Any]) -> int:
        """Return the server's process id behind a pooler. Raises ConfigurationError where sessions are shared."""
        backend = await backend_pid(connection)
        other = 0
        with contextlib.suppress(TimeoutError, DatabaseUnreachable):
            async with asyncio.timeout(_SECOND_SESSION_SECONDS):
                second = await connect_async(self._settings.listen_url, _APPLICATION)
                try:
                    other = await backend_pid(second)
                finally:
                    await second.close()
        if other == backend:
            name = "LISTEN_DATABASE_URL" if self._settings.listen_database_url else "DATABASE_URL"
            raise ConfigurationError(
                f"{name}: LISTEN needs a session of its own, and this goes through a pooler that shares sessions by "
                "transaction; set LISTEN_DATABASE_URL to the server itself, or RENDER_ENABLE_EVENTS=false to poll only"
            )
        log.warning("database.listens_through_pooler", advice="works only while the pooler keeps a session per client")
        return backend

    async def _take_name(self, connection: psycopg.AsyncConnection[Any], before: str | None) -> str:
        if before is not None:
            if await self._try_lock(connection, before):
                return before
            # Those of our sessions that may still hold it, half dead: the last one that stood, and any that broke between
            # taking the name and standing.
            for half_dead in self._backends:
                await execute(connection, "lock_holder", name=before, pid=half_dead)
            if await self._try_lock(connection, before):
                return before
        base = self._settings.supervisor_name
        for number in range(1, _MOST_NAMES):
            name = base if number == 1 else f"{base}#{number}"
            if await self._try_lock(connection, name):
                return name
        raise DatabaseUnreachable(f"a supervisor's name must be free: {base} to {base}#{_MOST_NAMES} are all in use")

    @staticmethod
    async def _try_lock(connection: psycopg.AsyncConnection[Any], name: str) -> bool:
        row = await (await execute(connection, "lock_name", name=name)).fetchone()
        return row is not None and bool(row[0])

    async def listen(self) -> None:
        """Hand on what comes in, until the connection breaks. Raises DatabaseUnreachable then."""
        if self._connection is None:
            raise DatabaseUnreachable("the LISTEN connection is closed")
        connection, loop = self._connection, asyncio.get_running_loop()
        broken: asyncio.Future[None] = loop.create_future()

        def hear() -> None:
            # Handed on from where it is read, by libpq itself: psycopg's notifies() looks up ten times a second.
            try:
                connection.pgconn.consume_input()
                while notice := connection.pgconn.notifies():
                    self._hand_on(notice.relname.decode(), notice.extra.decode())
            except Exception as error:  # noqa: BLE001 - whoever waits below is told
                loop.remove_reader(descriptor)
                broken.set_exception(error)

        try:
            async for notice in connection.notifies(timeout=0):  # what came in since LISTEN
                self._hand_on(notice.channel, notice.payload)
            descriptor = connection.fileno()
            loop.add_reader(descriptor, hear)
            await broken
        except asyncio.CancelledError:
            # Not where it broke: libpq has closed the descriptor then, and its number may be another's by now.
            if not connection.closed:
                loop.remove_reader(connection.fileno())
            raise
        except (psycopg.Error, UnicodeError) as error:
            raise unreachable(error) from error

    def _hand_on(self, channel: str, payload: str) -> None:
        if channel == "jobsupervisor_cancel":
            self._on_cancel(payload)
        else:
            self._on_wake(payload)

    async def close(self) -> None:
        """Close the session; the name is free at once."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with contextlib.suppress(psycopg.Error, asyncio.CancelledError):
                await connection.close()
