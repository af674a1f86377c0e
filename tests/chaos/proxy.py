"""Stands between the clients and PostgreSQL, and cuts connections off: at once, or in place of the server's next answer.

The second is what a client fears: its statement is committed, and it will never hear so. A session that the server
terminates says goodbye; one that is cut here says nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

_CHUNK = 1 << 16


@dataclass(eq=False, slots=True)
class _Link:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    deaf: bool = False
    """Its next answer is lost."""

    def cut(self) -> None:
        self.client.transport.abort()
        self.server.transport.abort()


class Proxy:
    """A Unix socket of the server's name in another directory, served by a thread of its own."""

    def __init__(self, directory: Path, server: Path) -> None:
        self.directory = directory
        self._server = server
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")
        self._thread.start()
        self._listener = self._do(asyncio.start_unix_server(self._serve, directory / server.name))

    def url(self, direct: str) -> str:
        """Return the URL of a database that leads through here, from the one that does not."""
        return direct.replace(quote(str(self._server.parent), safe=""), quote(str(self.directory), safe=""))

    def cut(self, random: Random) -> bool:
        """Cut a connection off at once; False when there is none."""
        return self._one(random, _Link.cut)

    def lose_answer(self, random: Random) -> bool:
        """Cut a connection off when the server answers next, and lose the answer; False when there is none."""

        def deafen(link: _Link) -> None:
            link.deaf = True

        return self._one(random, deafen)

    def close(self) -> None:
        """Cut all connections and end the thread."""
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _one(self, random: Random, deed: Callable[[_Link], None]) -> bool:
        async def choose() -> bool:
            links = list(self._links)
            if links:
                deed(random.choice(links))
            return bool(links)

        return bool(self._do(choose()))

    async def _close(self) -> None:
        self._listener.close()
        for link in self._links:
            link.cut()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_unix_connection(self._server)
        except OSError:  # it is down
            writer.transport.abort()
            return
        link = _Link(writer, server_writer)
        self._links.add(link)
        try:
            await asyncio.gather(self._up(link, reader), self._down(link, server_reader))
        finally:
            self._links.discard(link)

    @staticmethod
    async def _up(link: _Link, reader: asyncio.StreamReader) -> None:
        """Carry what a client says. When it leaves, what it said before still reaches the server."""
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                link.server.write(data)
                await link.server.drain()
        link.server.close()
        link.client.transport.abort()

    @staticmethod
    async def _down(link: _Link, reader: asyncio.StreamReader) -> None:
        """Carry what the server says, unless the answer is to be lost."""
        with contextlib.suppress(OSError):
            while (data := await reader.read(_CHUNK)) and not link.deaf:
                link.client.write(data)
                await link.client.drain()
        link.client.close()
        link.server.transport.abort()
