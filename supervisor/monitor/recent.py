"""The last hour, in slices of ten seconds: how attempts ended, and how long jobs waited and took.

Of bounded size whatever the load: a slice holds counts, and durations in classes of a quarter's width.
"""

from __future__ import annotations

import bisect
from collections import deque
from dataclasses import dataclass, field

SLICE = 10.0
"""Seconds."""
SLICES = 360

_CLASSES = tuple(0.001 * 1.25**n for n in range(80))  # a millisecond to twelve hours


@dataclass(slots=True)
class Slice:
    """What ended within ten seconds that began at `start`, of the monotonic clock."""

    start: float
    completed: int = 0
    ended_badly: int = 0
    waited: float = 0.0
    claimed: int = 0
    responses: dict[int, int] = field(default_factory=dict)
    """Class of the time from when a job could run to its end → how many."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What happened in the last so many seconds. Durations in seconds, None where there were none."""

    completed: int
    ended_badly: int
    mean_wait: float | None
    response_p95: float | None

    @property
    def ended(self) -> int:
        """All attempts that ended by themselves: those that were cancelled or given back are not counted."""
        return self.completed + self.ended_badly

    @property
    def error_rate(self) -> float | None:
        """The share that ended badly."""
        return self.ended_badly / self.ended if self.ended else None


class Recent:
    """The slices. Times are passed in, of the monotonic clock."""

    def __init__(self) -> None:
        self._slices: deque[Slice] = deque(maxlen=SLICES)

    def _slice(self, now: float) -> Slice:
        start = now - now % SLICE
        if not self._slices or self._slices[-1].start < start:
            self._slices.append(Slice(start))
        return self._slices[-1]

    def claimed(self, jobs: int, waited: float, now: float) -> None:
        """Take note of claims, and of how long their jobs had waited, in sum."""
        found = self._slice(now)
        found.claimed += jobs
        found.waited += waited

    def ended(self, response: float, now: float, *, well: bool) -> None:
        """Take note of an attempt's end, `response` seconds after its job could run."""
        found = self._slice(now)
        if well:
            found.completed += 1
        else:
            found.ended_badly += 1
        number = bisect.bisect_left(_CLASSES, response)
        found.responses[number] = found.responses.get(number, 0) + 1

    def slices(self, now: float, seconds: float) -> list[Slice]:
        """Return the slices that began in the last so many seconds, oldest first; those without any event are left out."""
        return [found for found in self._slices if found.start > now - seconds]

    def summary(self, now: float, seconds: float) -> Summary:
        """Return what happened in the last so many seconds."""
        found = self.slices(now, seconds)
        claimed = sum(part.claimed for part in found)
        return Summary(
            completed=sum(part.completed for part in found),
            ended_badly=sum(part.ended_badly for part in found),
            mean_wait=sum(part.waited for part in found) / claimed if claimed else None,
            response_p95=_percentile(found, 0.95),
        )


def _percentile(slices: list[Slice], share: float) -> float | None:
    """Return the upper end of the class below which that share of the responses lies."""
    counts: dict[int, int] = {}
    for part in slices:
        for number, count in part.responses.items():
            counts[number] = counts.get(number, 0) + count
    left = share * sum(counts.values())
    for number in sorted(counts):
        left -= counts[number]
        if left <= 0:
            return _CLASSES[min(number, len(_CLASSES) - 1)]
    return None
