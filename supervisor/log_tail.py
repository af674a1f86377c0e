"""The end of what a child writes to its standard output and error: the rest is read and forgotten."""

from __future__ import annotations

import asyncio
import contextlib
import os

_TAIL_BYTES = 4096


class LogTail:
    """Drains a child's log pipe, which is non-blocking, so that the child never waits to write."""

    def __init__(self, loop: asyncio.AbstractEventLoop, pipe: int) -> None:
        self._loop = loop
        self._pipe = pipe
        self._tail = bytearray()
        loop.add_reader(pipe, self._readable)

    def __str__(self) -> str:
        return self._tail.decode(errors="replace")

    def clear(self) -> None:
        """Forget what was written so far: it belongs to the job before."""
        self._tail.clear()

    def read_rest(self) -> None:
        """Take what is in the pipe now, of a child that has ended."""
        with contextlib.suppress(OSError):
            self._readable()

    def close(self) -> None:
        """Read no more; the pipe is closed by who has it."""
        self._loop.remove_reader(self._pipe)

    def _readable(self) -> None:
        try:
            data = os.read(self._pipe, 65536)
        except BlockingIOError:
            return
        if not data:
            self._loop.remove_reader(self._pipe)
        self._tail += data
        del self._tail[:-_TAIL_BYTES]
