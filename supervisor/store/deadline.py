"""How long a wait may still take."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import timedelta

_FIRST, _LONGEST = 0.1, 5.0


class Deadline:
    """The end of a wait, by the monotonic clock; None: there is no end."""

    def __init__(self, timeout: timedelta | float | None) -> None:
        if isinstance(timeout, timedelta):
            timeout = timeout.total_seconds()
        self._end = None if timeout is None else time.monotonic() + timeout

    def left(self) -> float | None:
        """Return the seconds left, not below zero."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether no time is left."""
        return self.left() == 0.0

    def at_most(self, seconds: float) -> float:
        """Return `seconds`, or what is left if that is less."""
        left = self.left()
        return seconds if left is None else min(seconds, left)


def pauses() -> Iterator[float]:
    """Yield the pauses between tries to connect: doubled each time, with jitter so that clients do not come in step."""
    pause = _FIRST
    while True:
        yield pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        pause = min(_LONGEST, pause * 2)
