"""A figure: what was measured, the floor beside it, what else is known of it, and the goals that it is held against."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

_TEXT_DIGITS = ((100.0, 0), (10.0, 1), (0.1, 2), (0.0, 4))
"""Decimals to print, from a magnitude on: three or four places that mean something."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on `value`, on `ratio` (to the floor), or on a detail of that name."""

    of: str
    at_most: float | None = None
    at_least: float | None = None

    def met(self, value: float | None) -> bool | None:
        """Whether a value keeps the bound; None where it was not measured."""
        if value is None:
            return None
        return not (
            (self.at_most is not None and value > self.at_most) or (self.at_least is not None and value < self.at_least)
        )

    def __str__(self) -> str:
        bound = f"≤ {number(self.at_most)}" if self.at_most is not None else f"≥ {number(self.at_least or 0)}"
        return bound if self.of == "value" else f"{self.of} {bound}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    question: str
    value: float
    unit: str
    floor: float | None = None
    details: Mapping[str, float] = field(default_factory=dict)
    goals: Sequence[Goal] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What goes into the results only: plans, statements by text, samples."""

    @property
    def ratio(self) -> float | None:
        """How many times the floor; None without one."""
        return self.value / self.floor if self.floor else None

    def verdicts(self) -> dict[str, bool | None]:
        """Say of each goal whether it is met."""
        known = {"value": self.value, "ratio": self.ratio, **self.details}
        return {str(goal): goal.met(known.get(goal.of)) for goal in self.goals}

    def record(self) -> dict[str, Any]:
        """Return what is written to the results."""
        return {**asdict(self), "goals": self.verdicts(), "ratio": self.ratio}


def number(value: float) -> str:
    """Write a number for people: grouped thousands, three or four places that mean something."""
    digits = next(digits for least, digits in _TEXT_DIGITS if abs(value) >= least)
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which that share of the values lies."""
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[round(share * 100) - 1]


def latency(question: str, seconds: Sequence[float], floors: Sequence[float], *goals: Goal, **details: float) -> Figure:
    """Return a figure in milliseconds: the median, with the 99th percentile and the floor's beside it."""
    p50, floor = percentile(seconds, 0.5) * 1000, percentile(floors, 0.5) * 1000
    spread = {"p99": percentile(seconds, 0.99) * 1000, "floor p99": percentile(floors, 0.99) * 1000}
    return Figure(question, p50, "ms", floor, {**spread, **details, "rounds": len(seconds)}, goals)
