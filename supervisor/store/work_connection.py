"""The work connection: one session, one named query at a time. Knows no table and no policy."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import psycopg
from psycopg.rows import AsyncRowFactory, dict_row, tuple_row
from psycopg.types.string import TextLoader

from supervisor.errors import DatabaseUnreachable
from supervisor.store.connection import connect_async, meaning
from supervisor.store.search_path import OurAsyncConnection, fixed_path_async
from supervisor.store.statements import numbered, sent

T = TypeVar("T")


class WorkConnection:
    """A connection that is opened again by its owner when it broke. Raises what `meaning` says of an error."""

    def __init__(self) -> None:
        self._connection: OurAsyncConnection | None = None
        self._quiet = asyncio.Event()
        self._quiet.set()

    async def connect(self, url: str, application: str) -> None:
        """Open it, in place of the one that there was. Raises DatabaseUnreachable."""
        await self.close()
        self._connection = await connect_async(url, application)
        # Of an id nothing is asked but its text.
        self._connection.adapters.register_loader("uuid", TextLoader)

    @property
    def prepares(self) -> bool:
        """Whether statements can be prepared on it: not where a pooler is in the way."""
        return self._connection is not None and not self._connection.pooled

    async def close(self) -> None:
        """Close it."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()

    async def run(self, statement: str, without: tuple[str, ...] = (), /, **parameters: Any) -> list[dict[str, Any]]:
        """Run a named query and return its rows; `without` names parts of its text to leave out."""
        return await self._run(dict_row, statement, without, parameters)

    async def tuples(
        self, statement: str, /, without: tuple[str, ...] = (), **parameters: Any
    ) -> list[tuple[Any, ...]]:
        """Run a named query and return its rows as tuples.

        It is prepared from the first time on: to plan what needs such parts takes longer than to do it a dozen times.
        """
        return await self._run(tuple_row, statement, without, parameters, at_once=True)

    async def _run(
        self,
        form: AsyncRowFactory[T],
        statement: str,
        without: tuple[str, ...],
        parameters: Mapping[str, Any],
        *,
        at_once: bool = False,
    ) -> list[T]:
        connection = self._connection
        if connection is None:
            raise DatabaseUnreachable("the work connection is closed")
        sent[statement] += 1
        self._quiet.clear()
        try:
            text, names = numbered(statement, without)
            async with psycopg.AsyncRawCursor(connection, row_factory=form) as cursor:
                prepare = True if at_once else None
                values = [parameters[name] for name in names]
                if connection.pooled:
                    async with fixed_path_async(connection):
                        await cursor.execute(text, values)
                else:
                    await cursor.execute(text, values, prepare=prepare)
                return await cursor.fetchall() if cursor.description else []
        except (psycopg.Error, UnicodeError) as error:
            raise meaning(error, connection, statement) from error
        finally:
            self._quiet.set()

    async def abort(self) -> None:
        """Hang up, whatever is under way: who waits for an answer gets DatabaseUnreachable. Returns when nobody does.

        To cancel the task that waits would not do: psycopg then asks the server to cancel, and waits for that.
        """
        if self._connection is not None and not self._connection.closed:
            # A copy of the descriptor, of the same connection: closing it takes nothing from libpq.
            with socket.socket(fileno=os.dup(self._connection.fileno())) as copy, contextlib.suppress(OSError):
                copy.shutdown(socket.SHUT_RDWR)
        await self._quiet.wait()

    @contextlib.contextmanager
    def watched(self, on_word: Callable[[], None]) -> Iterator[None]:
        """Call `on_word` once when the server says something while this block waits: that the session is at its end.

        Without it an idle supervisor would notice a connection that broke at its next poll. No statement may be under way.
        """
        if self._connection is None or self._connection.closed:
            yield
            return
        loop, descriptor = asyncio.get_running_loop(), self._connection.fileno()

        def heard() -> None:
            loop.remove_reader(descriptor)
            on_word()

        loop.add_reader(descriptor, heard)
        try:
            yield
        finally:
            loop.remove_reader(descriptor)
