"""How fast jobs and statements go: so many jobs are claimed ahead that no child waits while a claim is made."""

from __future__ import annotations

from dataclasses import dataclass

_MOST_PREFETCH = 64
_WEIGHT = 0.2
"""Of the newest measurement, in averages that forget."""


@dataclass(slots=True)
class Pace:
    """Averages, in seconds."""

    _job: float = 0.0
    _exchange: float = 0.005

    def job_took(self, seconds: float) -> None:
        """Take the time of an attempt."""
        self._job += _WEIGHT * (seconds - self._job)

    def exchange_took(self, seconds: float) -> None:
        """Take the time of a claim."""
        self._exchange += _WEIGHT * (seconds - self._exchange)

    def prefetch(self, children: int) -> int:
        """Return how many jobs so many children finish while a claim is made, twice."""
        return min(_MOST_PREFETCH, int(2 * self._exchange * children / self._job)) if self._job else 0
