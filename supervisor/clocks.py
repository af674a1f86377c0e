"""Clocks that are not ours: the database's as we know it, and how long other supervisors have shown no sign.

Every time that counts is the database's or is measured here, by the monotonic clock: the host's wall clock may be minutes
off, and the database's may be set forward at any moment. Neither starts a job late, nor has a supervisor that lives declared
lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_DRIFT = 500e-6
"""Seconds that two clocks may come apart in a second: what adjtimex(2) may slew, 500 parts per million."""


class DatabaseClock:
    """The database's clock, as seconds to add to our monotonic one.

    Each answer carries the server's time, which it took between our question and its answer: so what must be added lies
    between two bounds. Each answer narrows them; a quick one by much. Where an answer contradicts them a clock was set,
    and only that answer counts.
    """

    def __init__(self) -> None:
        self._least = self._most = 0.0
        self._at: float | None = None

    def learn(self, told: float, asked: float, answered: float) -> None:
        """Take the server's time of day, in seconds since 1970, of a statement between two times of our clock."""
        least, most = told - answered, told - asked
        if self._at is not None:
            slack = _DRIFT * (answered - self._at)
            least, most = max(least, self._least - slack), min(most, self._most + slack)
            if least > most:
                least, most = told - answered, told - asked
        self._least, self._most, self._at = least, most, answered

    @property
    def epoch(self) -> float | None:
        """The time of day at which our monotonic clock stood at zero, in seconds since 1970; None before the first answer."""
        return None if self._at is None else (self._least + self._most) / 2

    def now(self, monotonic: float) -> float:
        """Return the database's time of day at a time of our clock; the host's, as long as nothing better is known."""
        epoch = self.epoch
        return time.time() if epoch is None else epoch + monotonic


@dataclass(slots=True)
class _Sign:
    """What was seen of another supervisor, and since when it is the same, by our clock."""

    seen: str
    seen_since: float
    lost: str | None
    lost_since: float


@dataclass(slots=True)
class Silences:
    """For how long the others have shown no sign, by our own clock: what each poll tells, for the next one to be told."""

    monotonic: Callable[[], float] = time.monotonic
    _signs: dict[int, _Sign] = field(default_factory=dict)

    def forget(self) -> None:
        """Begin anew."""
        self._signs.clear()

    def observed(self) -> list[dict[str, Any]]:
        """Return what was seen of each, and for how many seconds it has been the same: the poll's parameter."""
        now = self.monotonic()
        return [
            {
                "id": supervisor,
                "seen": sign.seen,
                "seen_for": now - sign.seen_since,
                "lost": sign.lost,
                "lost_for": now - sign.lost_since,
            }
            for supervisor, sign in self._signs.items()
        ]

    def learn(self, signs: dict[int, tuple[str, str | None]]) -> None:
        """Take the signs that a poll told: of each other supervisor when it looked last, and since when it is silent."""
        now = self.monotonic()
        before, self._signs = self._signs, {}
        for supervisor, (seen, lost) in signs.items():
            old = before.get(supervisor)
            self._signs[supervisor] = _Sign(
                seen,
                old.seen_since if old is not None and old.seen == seen else now,
                lost,
                old.lost_since if old is not None and old.lost == lost else now,
            )
