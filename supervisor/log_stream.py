"""Where log lines go: standard error, whoever reads it or does not. Nothing here blocks, and nothing here fails.

Theory of operation. A pipe that nobody reads, a terminal that is stopped, a pipe whose reader is gone and a disk that is full
are no reason to stop rendering. A line is written at once, with one system call, where there is room. What there is no room for
is kept, up to a bound; beyond it lines are dropped and counted. When all that was kept is written, a line tells how many were
dropped, in the place where they are missing. A line that was begun is finished before any other, so none is cut.

The flag O_NONBLOCK belongs to the open file, which other processes share: to set it would make their writes fail. So a
pipe or a terminal is opened again, through /proc, with the flag; a socket is asked for each message. Where neither can be had
(/proc is not there, the pipe is another user's), poll(2) is asked before each piece of PIPE_BUF bytes, which is the room that
a pipe has when it is writable.

What is kept is written with the next line, or by the event loop as soon as there is room (`drain_on`), which costs nothing
until then. A file has no such moment: it is tried again with each line.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import os
import select
import socket
import stat
import threading
import time
from collections.abc import Callable
from typing import ClassVar

MOST_KEPT = 256 * 1024
"""Bytes that wait for room."""
_GOODBYE_SECONDS = 0.5
"""How long the end of the process waits for room."""


class LogStream:
    """Writes whole lines to a descriptor."""

    dropped: ClassVar[int] = 0
    """Lines that this process dropped, wherever they were to go."""

    def __init__(self, descriptor: int, tell: Callable[[int], bytes]) -> None:
        self.tell = tell
        """Returns the line that says how many were dropped."""
        self._given = descriptor
        self._write, self._watched, self._close = _writer(descriptor)
        self._kept: collections.deque[bytes] = collections.deque()
        self._bytes = 0
        self._missing = 0
        # Entered again by the thread that holds it: a collector that runs in here may have something to log.
        self._lock = threading.RLock()
        self._busy = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting = False

    def write(self, line: bytes) -> None:
        """Write a line, keep it, or drop it. Critical section: what is kept, and the order of the lines."""
        with self._lock:
            if self._busy:
                self._keep(line)
                return
            self._busy = True
            try:
                if (self._kept or self._missing) and not self._flush():
                    self._keep(line)
                elif rest := self._try(line):
                    # First: what a collector had to say meanwhile must not stand in the middle of this line.
                    self._kept.appendleft(rest)
                    self._bytes += len(rest)
            finally:
                self._busy = False
            if self._kept and self._loop is not None:
                self._wait_for_room()

    @property
    def descriptor(self) -> int:
        """What may be written to without waiting, where there is such a thing: for the last words of a crash."""
        return self._given if self._watched is None else self._watched

    def finish(self) -> None:
        """Write what is kept, as far as there is room within a moment."""
        deadline = time.monotonic() + _GOODBYE_SECONDS
        with self._lock:
            self._busy = True
            while not self._flush() and self._watched is not None and (left := deadline - time.monotonic()) > 0:
                if not has_room(self._watched, left) or not self._gets_on():
                    break
            self._busy = False

    def close(self) -> None:
        """Write what is kept as above, and nothing more."""
        self.finish()
        with self._lock:
            self._close()
            self._write = _nothing

    def drain_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have a loop write what is kept when there is room."""
        self._loop = loop

    def _keep(self, line: bytes) -> None:
        """Keep a line, or the rest of one; from the first that is dropped until all is written, all are."""
        if self._missing or (self._kept and self._bytes + len(line) > MOST_KEPT):
            self._missing += 1
            LogStream.dropped += 1
            return
        self._kept.append(line)
        self._bytes += len(line)

    def _flush(self) -> bool:
        """Write what is kept, then how many are missing; return whether all of it is written."""
        while self._kept:
            line = self._kept[0]
            rest = self._try(line)
            self._bytes -= len(line) - len(rest)
            if rest:
                self._kept[0] = rest
                return False
            self._kept.popleft()
        if self._missing:
            told, self._missing = self.tell(self._missing), 0
            if rest := self._try(told):
                self._kept.append(rest)
                self._bytes += len(rest)
                return False
        return True

    def _gets_on(self) -> bool:
        """Whether a write is possible that was not before: a pipe without a reader has room, and takes nothing."""
        before = self._bytes
        return self._flush() or self._bytes < before

    def _try(self, data: bytes) -> bytes:
        """Write as much as there is room for; return the rest."""
        while data:
            try:
                written = self._write(data)
            except OSError:
                # No room just now, no reader, no space on the disk: the next line tries again.
                break
            if not written:
                break
            data = data[written:]
        return data

    def _wait_for_room(self) -> None:
        if self._waiting or self._watched is None or self._loop is None:
            return
        self._waiting = True
        try:
            self._loop.call_soon_threadsafe(self._watch)
        except RuntimeError:  # the loop has ended
            self._loop, self._waiting = None, False

    def _watch(self) -> None:
        if self._loop is None or self._watched is None or not self._kept:
            self._waiting = False
            return
        with contextlib.suppress(OSError, ValueError):
            self._loop.add_writer(self._watched, self._has_room)
            return
        self._watched = None

    def _has_room(self) -> None:
        """Write what is kept. A pipe that fails, its reader gone, is always writable: it is left to the next line."""
        with self._lock:
            before, self._busy = self._bytes, True
            done = self._flush()
            self._busy = False
            if (done or self._bytes == before) and self._loop is not None and self._watched is not None:
                self._loop.remove_writer(self._watched)
                self._waiting = False


def has_room(descriptor: int, seconds: float = 0) -> bool:
    """Whether a write would find room, at the latest after so many seconds; one that fails would not wait either."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(seconds * 1000))


def _writer(descriptor: int) -> tuple[Callable[[bytes], int], int | None, Callable[[], None]]:
    """Return how to write without waiting, the descriptor that tells of room, and how to let go of both."""
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return _nothing, None, _let_go
    if stat.S_ISSOCK(mode):
        sock = socket.socket(fileno=os.dup(descriptor))
        return lambda data: sock.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL), sock.fileno(), sock.close
    if not stat.S_ISFIFO(mode) and not os.isatty(descriptor):
        # A file, which never waits for a reader; or a device such as /dev/null.
        return lambda data: os.write(descriptor, data), None, _let_go
    ours = opened_again(descriptor)
    if ours is None:
        return lambda data: _piece(descriptor, data), descriptor, _let_go
    return lambda data: os.write(ours, data), ours, lambda: os.close(ours)


def opened_again(descriptor: int) -> int | None:
    """Return a pipe or a terminal, opened once more and without waiting; None where that cannot be had."""
    try:
        return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None


def _piece(descriptor: int, data: bytes) -> int:
    return os.write(descriptor, data[: select.PIPE_BUF]) if has_room(descriptor) else 0


def _nothing(_: bytes) -> int:
    return 0


def _let_go() -> None:
    """Close nothing: the descriptor is somebody else's."""
