"""How fast jobs and statements go: so many jobs are claimed ahead that no child waits while a claim is made.

A statement costs the machine some milliseconds of work, however little it says (docs/performance.md). Where jobs end faster than
that, acks wait for others while there is work in hand for all children.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_MOST_PREFETCH = 512
_GATHER_SECONDS = 0.04
"""How long acks of short jobs wait for others, at most."""
_MANY = 4
"""Jobs that must end in that time, or it is not worth the wait."""
_SHORT = 0.02
"""Seconds; jobs of a kind that take less on average are given to a child several at once."""
_AHEAD_SECONDS = 0.02
"""How much work a child may hold beyond the job that it is at; what it holds waits if that one is slow."""
_MOST_AHEAD, _MOST_FILES_AHEAD = 32, 4
"""Jobs that a child may hold beyond that, of kinds that write nothing and of others, whose files it holds open."""
_WEIGHT = 0.2
"""Of the newest measurement, in averages that forget."""


@dataclass(slots=True)
class Pace:
    """Averages, in seconds."""

    _job: float = 0.0
    _exchange: float = 0.005
    _kinds: dict[str, float] = field(default_factory=dict)

    def job_took(self, kind: str, seconds: float) -> None:
        """Take the time of an attempt."""
        self._job += _WEIGHT * (seconds - self._job)
        before = self._kinds.get(kind, seconds)
        self._kinds[kind] = before + _WEIGHT * (seconds - before)

    def ahead(self, kind: str, *, writes: bool) -> int:
        """Return how many jobs of a kind a child may hold beyond the one that it is at."""
        took = self._kinds.get(kind, _SHORT)
        if took >= _SHORT:
            return 0
        most = _MOST_FILES_AHEAD if writes else _MOST_AHEAD
        return min(most, int(_AHEAD_SECONDS / took)) if took else most

    def exchange_took(self, seconds: float) -> None:
        """Take the time of a claim."""
        self._exchange += _WEIGHT * (seconds - self._exchange)

    def gather(self, children: int) -> float:
        """Return how long acks wait for others after a statement, in seconds: not at all where few jobs would end meanwhile."""
        return _GATHER_SECONDS if 0 < self._job * _MANY < _GATHER_SECONDS * children else 0.0

    def prefetch(self, children: int) -> int:
        """Return how many jobs so many children finish while a claim is made, twice, and while acks gather."""
        seconds = 2 * self._exchange + self.gather(children)
        return min(_MOST_PREFETCH, int(seconds * children / self._job)) if self._job else 0
