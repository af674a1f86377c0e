"""A proxy between clients and PostgreSQL that counts what passes through it.

Theory of operation. It listens on a Unix socket of the server's own name in another directory, and on a free port of the
loopback interface for clients that know TCP only; either way it speaks to the server's Unix socket. One thread runs its
event loop. Bytes are passed on first and counted after, so that what it costs is not on the way. A request for
encryption it answers itself, with no: the server's answer would be a bare byte, the only one without a length.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.wire import GSS_REQUEST, SSL_REQUEST, Backend, Counts, Frontend

_CHUNK = 1 << 16


class CountingProxy:
    """A way to a server's socket; `counts` grows as long as it is open."""

    def __init__(self, directory: Path, server: Path) -> None:
        self.counts = Counts()
        self.directory = directory
        self.port = 0
        self._server = server
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="counting proxy")
        self._thread.start()
        self._listeners: list[asyncio.Server] = self._do(self._listen())

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        """Return a URL through here, by the Unix socket."""
        number = self._server.name.rpartition(".")[2]
        return f"postgresql://{user}@/{database}?host={quote(str(self.directory), safe='')}&port={number}"

    def tcp_url(self, database: str = "postgres", user: str = "postgres") -> str:
        """Return a URL through here, by TCP."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def close(self) -> None:
        """Cut all connections and end the thread."""
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def take(self) -> Counts:
        """Return what was counted since the last time, and begin anew."""

        # On the loop, between two messages.
        async def swap() -> Counts:
            taken, fresh = Counts(), Counts()
            taken.add(self.counts)
            # The connections hold on to this object: it is emptied, not replaced.
            for name in ("connections", "statements", "transactions", "errors", "notifications"):
                setattr(self.counts, name, getattr(fresh, name))
            self.counts.messages.clear()
            self.counts.texts.clear()
            return taken

        found: Counts = self._do(swap())
        return found

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self) -> list[asyncio.Server]:
        unix = await asyncio.start_unix_server(self._serve, self.directory / self._server.name)
        tcp = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(tcp.sockets[0].getsockname()[1])
        return [unix, tcp]

    async def _close(self) -> None:
        for listener in self._listeners:
            listener.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            first = await _first(reader, writer)
            server_reader, server_writer = await asyncio.open_unix_connection(self._server)
            frontend, backend = Frontend(self.counts), Backend(self.counts)
            server_writer.write(first)
            frontend.feed(first)
            try:
                await asyncio.gather(
                    _pass_on(reader, server_writer, frontend.feed), _pass_on(server_reader, writer, backend.feed)
                )
            finally:
                server_writer.transport.abort()
        writer.transport.abort()


async def _first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Return the message that starts a session; encryption, asked for before it, is refused."""
    while True:
        head = await reader.readexactly(8)
        length, code = struct.unpack("!II", head)
        if code not in {SSL_REQUEST, GSS_REQUEST}:
            return head + await reader.readexactly(length - 8)
        writer.write(b"N")


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: Callable[[bytes], None]) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        count(data)
        await writer.drain()
    writer.close()


@contextmanager
def counting(server: Path) -> Iterator[CountingProxy]:
    """Run a proxy to a server's socket, in a temporary directory."""
    with tempfile.TemporaryDirectory(prefix="proxy-") as directory:
        proxy = CountingProxy(Path(directory), server)
        try:
            yield proxy
        finally:
            proxy.close()
