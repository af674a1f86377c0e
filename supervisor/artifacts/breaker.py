"""The object store's circuit breaker: while it is away no attempt is begun that could not be stored.

A failed upload opens it. While it is open, outputs are refused before anything is rendered: the job goes back to the queue
uncharged, later and later, and its child is free for a kind that stores nothing. When the pause is over one attempt is let
through as the trial; its upload closes the breaker, or doubles the pause. Nothing is sent by a clock.
"""

from __future__ import annotations

import random
import time

import structlog

from supervisor.artifacts.errors import StoreAway

log = structlog.get_logger()

_FIRST, _LONGEST = 1.0, 60.0
"""Seconds between trials."""


class Breaker:
    """Whether the store works, as far as is known; `problem` is what the last upload met, while it is open."""

    def __init__(self, place: str) -> None:
        self.problem: str | None = None
        self._place = place
        self._pause = _FIRST
        self._next = 0.0

    def admit(self) -> None:
        """Let an attempt through. Raises StoreAway while the breaker is open and no trial is due."""
        if self.problem is None:
            return
        now = time.monotonic()
        if now < self._next:
            raise StoreAway(f"the artifact store is away: {self.problem}")
        # One trial at a time: a trial's upload may take longer than this, and the next one is then due.
        self._next = now + self._jittered()

    def works(self) -> None:
        """Take note that an upload went well."""
        if self.problem is not None:
            log.info("artifacts.recovered", place=self._place)
        self.problem, self._pause = None, _FIRST

    def failed(self, problem: str) -> None:
        """Take note that an upload failed."""
        if self.problem is None:
            log.error("artifacts.lost", place=self._place, problem=problem)
        else:
            self._pause = min(2 * self._pause, _LONGEST)
        self.problem = problem
        self._next = time.monotonic() + self._jittered()

    def _jittered(self) -> float:
        return self._pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
