"""What a child is given and has not read: frames of jobs, on a socket that may be full.

A frame may be refused although the child is well: the kernel counts descriptors under way by user (ETOOMANYREFS, unix(7)), and
may be short of memory. Nothing of such a piece went, since descriptors go beside its first byte. It is tried again for a
moment, in which the clock of its job stands still; then its jobs go back, and nobody is charged.
"""

from __future__ import annotations

import asyncio
import collections
import errno
import socket
from typing import Protocol

from renderer import wire
from supervisor.attempt import Attempt

_PIECE = 256 * 1024
"""Bytes that are sent in one call, about: more than a socket takes at once."""

_REFUSALS = wire.SHORT_OF_MEMORY | {errno.ETOOMANYREFS, errno.EMFILE, errno.ENFILE}
"""Errors of a send that say nothing of who is at the other end."""

_FIRST_PAUSE, _LONGEST_PAUSE, _PATIENCE = 0.01, 0.2, 1.0
"""Seconds before the next try, the first and the longest; and how long it is tried before the jobs go back."""


class Recipient(Protocol):
    """Who has the attempts whose frames are sent here."""

    def held_up(self, attempts: list[Attempt]) -> None:
        """Hear that the frames of these cannot be sent now."""

    def under_way(self, attempts: list[Attempt]) -> None:
        """Hear that the frames of these, which were held up, are being sent."""

    def not_sent(self, attempts: list[Attempt]) -> None:
        """Take these back: nothing of them was sent."""

    def cut_off(self, reason: str) -> None:
        """Hear that a frame was sent in part, and that the rest cannot be."""


class Mailbox:
    """The frames on their way to one child, with the descriptors that go beside them."""

    def __init__(self, sock: socket.socket, recipient: Recipient) -> None:
        self._sock = sock
        self._recipient = recipient
        self._loop = asyncio.get_running_loop()
        self._frames: collections.deque[tuple[bytes, Attempt]] = collections.deque()
        self._data = memoryview(b"")
        self._descriptors: list[int] = []
        self._piece: list[Attempt] = []
        """Whose frames the piece holds, while nothing of it was sent."""
        self._waits = False
        self._pause: asyncio.TimerHandle | None = None
        self._tried = 0.0
        """Seconds that a piece has waited for the kernel to take it."""

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
        self._frames.append((wire.encode_job(head, job.spec, job.config), attempt))
        if self._pause is not None:
            self._recipient.held_up([attempt])

    def flush(self) -> None:
        """Send as much as the socket takes; the rest goes when it takes more."""
        if self._pause is not None:
            return
        try:
            while self._load():
                sent = wire.send_start(self._sock, self._data, self._descriptors)
                self._data, self._descriptors = self._data[sent:], []
                self._piece = self._went()
        except BlockingIOError:
            if not self._waits:
                self._waits = True
                self._loop.add_writer(self._sock, self.flush)
            return
        except OSError as error:
            if error.errno in _REFUSALS:
                self._refused(error)
                return
            # It died, or closed its end: who reads from it sees the same, and settles the attempts.
            self._clear()
        self.close()

    def _went(self) -> list[Attempt]:
        """Take it that a piece is on its way; return those of whom nothing was sent: none."""
        if self._tried:
            self._tried = 0.0
            self._recipient.under_way(self._unsent())
        return []

    def _unsent(self) -> list[Attempt]:
        return [*self._piece, *(attempt for _, attempt in self._frames)]

    def _refused(self, error: OSError) -> None:
        """Try again in a moment; after some of them, give up."""
        self.close()
        if self._tried < _PATIENCE:
            if not self._tried:
                self._recipient.held_up(self._unsent())
            pause = min(_LONGEST_PAUSE, max(_FIRST_PAUSE, self._tried))
            self._tried += pause
            self._pause = self._loop.call_later(pause, self._try_again)
            return
        self._tried = 0.0
        unsent, in_part = self._unsent(), bool(self._data) and not self._piece
        self._clear()
        if in_part:
            self._recipient.cut_off(f"a frame could not be sent: {error}")
        else:
            self._recipient.not_sent(unsent)

    def _try_again(self) -> None:
        self._pause = None
        self.flush()

    def _load(self) -> bool:
        """Have something to send, as many frames in one piece as go together; False when all is sent."""
        if self._data:
            return True
        frames: list[bytes] = []
        size = 0
        while self._frames and size < _PIECE and len(self._descriptors) < wire.MAX_DESCRIPTORS:
            frame, attempt = self._frames.popleft()
            frames.append(frame)
            self._piece.append(attempt)
            size += len(frame)
            if attempt.output is not None:
                self._descriptors.append(attempt.output)
        self._data = memoryview(frames[0] if len(frames) == 1 else b"".join(frames))
        return bool(frames)

    def _clear(self) -> None:
        self._frames.clear()
        self._data, self._descriptors, self._piece = memoryview(b""), [], []

    def close(self) -> None:
        """Wait for the socket no more, nor for the kernel."""
        if self._waits:
            self._waits = False
            self._loop.remove_writer(self._sock)
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
