"""A day of work as such systems see it: quiet nights, working hours, bursts, and jobs for later. The same for every run."""

from __future__ import annotations

import random
from dataclasses import dataclass

HOUR = 3600.0
NIGHT = (22.0, 6.0)
RATES = ((0, 6, 6), (6, 9, 40), (9, 18, 200), (18, 22, 60), (22, 24, 6))
"""(from, until, jobs an hour)."""
BURSTS = 12
BURST_JOBS = (50, 150)
DELAYED = 0.05
DELAYS = (600.0, 4 * HOUR)
SEED = 1


@dataclass(frozen=True, slots=True)
class Arrival:
    """Jobs that come in one transaction. Times are seconds of the day; `delay` is how much later they may start."""

    second: float
    jobs: int = 1
    delay: float = 0.0


def day() -> list[Arrival]:
    """Return the arrivals of one day, in order."""
    chance = random.Random(SEED)  # noqa: S311 - the same day for every run
    arrivals = []
    for start, end, rate in RATES:
        second = start * HOUR
        while (second := second + chance.expovariate(rate / HOUR)) < end * HOUR:
            delay = chance.uniform(*DELAYS) if chance.random() < DELAYED else 0.0
            # What is due on the next day is not of this one.
            arrivals.append(Arrival(second, delay=delay if second + delay < 24 * HOUR else 0.0))
    arrivals += [Arrival(chance.uniform(8 * HOUR, 19 * HOUR), jobs=chance.randint(*BURST_JOBS)) for _ in range(BURSTS)]
    return sorted(arrivals, key=lambda arrival: arrival.second)


def between(arrivals: list[Arrival], start: float, end: float) -> list[Arrival]:
    """Return what comes between two hours of the day; what would be due after them is due at once."""
    return [
        arrival if arrival.second + arrival.delay < end * HOUR else Arrival(arrival.second, arrival.jobs)
        for arrival in arrivals
        if start * HOUR <= arrival.second < end * HOUR
    ]


def is_night(hour: float) -> bool:
    """Whether an hour of the day belongs to the night."""
    return hour >= NIGHT[0] or hour < NIGHT[1]
