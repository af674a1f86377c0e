"""What the fork server writes to its standard error, as lines of the log.

It does not have the service's own standard error: where nobody reads that, the fork server would stand still in the middle of
a traceback, and every child that is to be forked would wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator

import structlog

log = structlog.get_logger()

_MOST = 16 * 1024
"""Bytes of one line of the log."""


class Relay:
    """A pipe that the loop reads, until all who can write to it are gone."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pipe = -1

    @contextlib.contextmanager
    def writer(self) -> Iterator[int]:
        """Yield the end that a process inherits which is started in the block."""
        self._pipe, theirs = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._pipe, False)
        self._loop.add_reader(self._pipe, self._readable)
        try:
            yield theirs
        finally:
            os.close(theirs)

    def read_rest(self) -> None:
        """Tell what is in the pipe now, before its end is told."""
        while self._pipe >= 0 and self._readable():
            pass

    def close(self) -> None:
        """Read no more."""
        if self._pipe >= 0:
            self._loop.remove_reader(self._pipe)
            os.close(self._pipe)
            self._pipe = -1

    def _readable(self) -> bool:
        try:
            data = os.read(self._pipe, _MOST)
        except BlockingIOError:
            return False
        if not data:
            self.close()
            return False
        log.warning("forkserver.wrote", text=data.decode(errors="replace").rstrip("\n"))
        return True
