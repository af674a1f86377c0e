"""The line that `systemctl status` shows: what runs, what waits, what became of the jobs since the start.

Told when it changed and at most once a second, so that a busy service does not spend itself on it; an idle one tells nothing.
"""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Mapping

from supervisor import notify

_SECONDS = 1.0
_WELL = "serving"
_TOLD = ("completed", "failed", "retried")


class StatusLine:
    """What is told of the state, kept up to date by whoever knows."""

    def __init__(self) -> None:
        self._state = "starting"
        self._drains = False
        self._counts = (0, 0, 0)
        self._ended: collections.Counter[str] = collections.Counter()
        self._told = ""
        self._next: asyncio.TimerHandle | None = None

    def state(self, state: str) -> None:
        """Take the first words: serving, or what keeps it from that."""
        if state != self._state:
            self._state = state
            self._changed()

    def drains(self) -> None:
        """Take it that the end has begun."""
        self._drains = True
        self._changed()

    def counts(self, counts: tuple[int, int, int]) -> None:
        """Take how many jobs run, wait for a child, and are owed to the database."""
        if counts != self._counts:
            self._counts = counts
            self._changed()

    def ended(self, counts: Mapping[str, int]) -> None:
        """Count the ends of attempts: completed, failed, retried or another → how many."""
        self._ended.update(counts)
        self._changed()

    @property
    def text(self) -> str:
        """The line."""
        running, waiting, owed = self._counts
        ended = ", ".join(f"{self._ended[how]} {how}" for how in _TOLD)
        # Of a drain it is told that it is one, and what holds it up.
        words = (["draining"] if self._drains else []) + ([self._state] if self._state != _WELL else [])
        state = ", ".join(words) or _WELL
        return f"{state}: {running} running, {waiting} waiting, {owed} to acknowledge; {ended}"

    def _changed(self) -> None:
        if self._next is None:
            self._tell()

    def _tell(self) -> None:
        self._next = None
        if self.text != self._told:
            self._told = self.text
            notify.status(self._told)
            self._next = asyncio.get_running_loop().call_later(_SECONDS, self._tell)
