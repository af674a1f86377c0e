"""A deadline that is set anew many times a second, with a timer that is not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class Alarm:
    """Calls `on_ring` at the deadline that was set last.

    A timer that is there already stays, unless it would come too late: when it comes early it is set to what the deadline
    is by then. Jobs are shorter than a timer costs for each.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_ring: Callable[[], None]) -> None:
        self._loop = loop
        self._on_ring = on_ring
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def set(self, deadline: float) -> None:
        """Ring at this time of the monotonic clock, in seconds, and not at the one before."""
        self._deadline = deadline
        if self._timer is None or self._timer.when() > deadline:
            self._start()

    def stop(self) -> None:
        """Have no timer: an idle child costs nothing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self) -> None:
        self.stop()
        self._timer = self._loop.call_at(self._deadline, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if time.monotonic() < self._deadline:
            self._start()
        else:
            self._on_ring()
