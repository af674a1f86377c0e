"""What a child is given and has not read: frames of jobs, on a socket that may be full."""

from __future__ import annotations

import asyncio
import collections
import socket

from renderer import wire
from supervisor.attempt import Attempt

_PIECE = 256 * 1024
"""Bytes that are sent in one call, about: more than a socket takes at once."""


class Mailbox:
    """The frames on their way to one child, with the descriptors that go beside them."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._frames: collections.deque[tuple[bytes, int | None]] = collections.deque()
        self._data = memoryview(b"")
        self._descriptors: list[int] = []
        self._waits = False

    def put(self, attempt: Attempt) -> None:
        """Add the frame of a job; `flush` sends it."""
        job, limits = attempt.job, attempt.limits
        head = {
            "id": job.id,
            "attempt": job.token.attempt,
            "kind": job.kind,
            "limits": {"memory": limits.memory, "cpu": limits.cpu, "output": limits.output},
            "writes": attempt.output is not None,
        }
        self._frames.append((wire.encode_job(head, job.spec, job.config), attempt.output))

    def flush(self) -> None:
        """Send as much as the socket takes; the rest goes when it takes more."""
        try:
            while self._load():
                sent = wire.send_start(self._sock, self._data, self._descriptors)
                self._data, self._descriptors = self._data[sent:], []
        except BlockingIOError:
            if not self._waits:
                self._waits = True
                self._loop.add_writer(self._sock, self.flush)
            return
        except OSError:
            # It died, or closed its end: who reads from it sees the same, and settles the attempts.
            self._frames.clear()
            self._data, self._descriptors = memoryview(b""), []
        self.close()

    def _load(self) -> bool:
        """Have something to send, as many frames in one piece as go together; False when all is sent."""
        if self._data:
            return True
        frames: list[bytes] = []
        size = 0
        while self._frames and size < _PIECE and len(self._descriptors) < wire.MAX_DESCRIPTORS:
            frame, descriptor = self._frames.popleft()
            frames.append(frame)
            size += len(frame)
            if descriptor is not None:
                self._descriptors.append(descriptor)
        self._data = memoryview(frames[0] if len(frames) == 1 else b"".join(frames))
        return bool(frames)

    def close(self) -> None:
        """Wait for the socket no more."""
        if self._waits:
            self._waits = False
            self._loop.remove_writer(self._sock)
