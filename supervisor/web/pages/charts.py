"""The charts of the last hour, minute by minute: from the monitor's slices to lengths that a template draws as SVG.

A minute is one of the monotonic clock's, so that a bar stays what it is while the hour moves on beneath it; only the
last one still grows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from supervisor.monitor.recent import Slice
from supervisor.web.pages.templates import seconds_text

MINUTES = 60

# Of the drawing, in its own units.
WIDTH, HEIGHT = 480, 150
_LEFT, _TOP, _BOTTOM = 56, 8, 130
_SLOT = (WIDTH - _LEFT) / MINUTES
_GAP = 1.5


@dataclass(slots=True)
class Minute:
    """What ended and what was claimed in one minute, so many minutes ago."""

    ago: int
    completed: int = 0
    failed: int = 0
    claimed: int = 0
    waited: float = 0.0

    @property
    def mean_wait(self) -> float | None:
        """How long the jobs that were claimed had waited, None where there were none."""
        return self.waited / self.claimed if self.claimed else None


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle of a chart."""

    x: float
    y: float
    width: float
    height: float
    name: str


@dataclass(frozen=True, slots=True)
class Column:
    """The bars of a minute, and what they say in words."""

    words: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart: what it shows in words, its columns, and lines across at round values."""

    name: str
    title: str
    summary: str
    columns: tuple[Column, ...]
    lines: tuple[tuple[float, str], ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    bottom: int = _BOTTOM


def minutes(slices: Sequence[Slice], now: float) -> list[Minute]:
    """Return the last hour, the oldest minute first."""
    last = int(now // 60)
    found = [Minute(ago) for ago in reversed(range(MINUTES))]
    for part in slices:
        ago = last - int(part.start // 60)
        if 0 <= ago < MINUTES:
            minute = found[MINUTES - 1 - ago]
            minute.completed += part.completed
            minute.failed += part.ended_badly
            minute.claimed += part.claimed
            minute.waited += part.waited
    return found


def throughput(hour: Sequence[Minute]) -> Chart:
    """Return the attempts that ended, by minute: completed ones below, failed ones on top of them."""
    top = _round_up(max(minute.completed + minute.failed for minute in hour), 2)
    columns = []
    for number, minute in enumerate(hour):
        if minute.completed or minute.failed:
            below = _bar(number, 0, minute.completed / top, "completed")
            above = _bar(number, minute.completed / top, minute.failed / top, "failed")
            words = f"{_ago(minute)}: {minute.completed} completed, {minute.failed} failed"
            columns.append(Column(words, tuple(bar for bar in (below, above) if bar.height)))
    completed, failed = sum(m.completed for m in hour), sum(m.failed for m in hour)
    busiest = max(hour, key=lambda minute: minute.completed + minute.failed)
    summary = f"In the last hour {completed} attempts completed and {failed} failed"
    if columns:
        summary += f"; the busiest minute had {busiest.completed + busiest.failed} ({_ago(busiest)})"
    return Chart(
        "throughput", "Attempts that ended, per minute", summary + ".", tuple(columns), _lines(top, _count_text)
    )


def waits(hour: Sequence[Minute]) -> Chart:
    """Return how long jobs had waited when they were claimed, by minute."""
    known = [(number, minute, minute.mean_wait) for number, minute in enumerate(hour)]
    longest = max((wait for _, _, wait in known if wait is not None), default=0.0)
    top = _round_up(longest, 0.01)
    columns = [
        Column(
            f"{_ago(minute)}: {seconds_text(wait)}",
            # A wait too short to be seen is still one.
            (_bar(number, 0, max(wait / top, 0.01), "wait"),),
        )
        for number, minute, wait in known
        if wait is not None
    ]
    claimed = sum(minute.claimed for minute in hour)
    summary = "No job was claimed in the last hour."
    if claimed:
        mean = sum(minute.waited for minute in hour) / claimed
        summary = f"In the last hour {claimed} jobs were claimed; they had waited {seconds_text(mean)} in the mean, {seconds_text(longest)} in the worst minute."
    return Chart("wait", "Mean wait before a claim", summary, tuple(columns), _lines(top, seconds_text))


def _bar(number: int, start: float, length: float, name: str) -> Bar:
    height = _BOTTOM - _TOP
    x = _LEFT + number * _SLOT + _GAP / 2
    return Bar(
        round(x, 1),
        round(_BOTTOM - (start + length) * height, 1),
        round(_SLOT - _GAP, 1),
        round(length * height, 1),
        name,
    )


def _ago(minute: Minute) -> str:
    return "this minute" if minute.ago == 0 else f"{minute.ago} min ago"


def _round_up(value: float, least: float) -> float:
    """Return the smallest of 1, 2, 5, 10, 20, 50, … that is not below the value, or `least`."""
    if value <= least:
        return least
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9))


def _lines(top: float, text: Callable[[float], str]) -> tuple[tuple[float, str], ...]:
    height = _BOTTOM - _TOP
    return tuple((round(_BOTTOM - share * height, 1), text(top * share)) for share in (0, 0.5, 1))


def _count_text(value: float) -> str:
    return f"{value:g}"
