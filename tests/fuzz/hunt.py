"""A hunt: cases until the time is over; each wrong end made small by hypothesis, once, then passed over."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

from renderer.outcome import Outcome
from tests.fuzz import scenes, svgs
from tests.fuzz.bench import Bench
from tests.fuzz.case import Case, Seen
from tests.fuzz.judge import shape, wrong

KINDS: dict[str, st.SearchStrategy[Case]] = {"scene": scenes.cases, "svg": svgs.cases}
_ROUND = 200
"""Cases between two looks at the clock."""
_TWICE = 25
"""One case in so many, by its text, is rendered again, in a child that ran nothing before."""


class Wrong(Exception):  # noqa: N818 - what is raised is a finding, and no fault of this program
    """A case ended wrongly."""


@dataclass(slots=True)
class Finding:
    """The smallest case with one kind of wrong end."""

    problem: str
    case: Case
    message: str
    seconds: float


@dataclass(slots=True)
class Hunt:
    """One kind's cases. `known` are the wrong ends that were found before."""

    kind: str
    bench: Bench
    findings: list[Finding] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    known: set[str] = field(default_factory=set)
    slowest: float = 0.0
    _last: tuple[str, Case, Seen] | None = None

    def go(self, first: int, deadline: Callable[[], bool], *, most: int = _ROUND, small: bool = True) -> None:
        """Run rounds of cases, numbered from `first`, until `deadline()` says that it is over."""
        number = first
        while not deadline():
            self._round(number, most, [Phase.generate, Phase.shrink] if small else [Phase.generate])
            number += 1

    def _round(self, number: int, most: int, phases: list[Phase]) -> None:
        quiet = list(HealthCheck)
        options = settings(
            max_examples=most,
            deadline=None,
            database=None,
            suppress_health_check=quiet,
            phases=phases,
            verbosity=Verbosity.quiet,
        )
        target: str | None = None

        @seed(number)
        @options
        @given(KINDS[self.kind])
        def look(case: Case) -> None:
            nonlocal target
            problem, seen = self.look(case)
            # One at a time: while it is made small, it must stay the same one.
            if problem is not None and problem not in self.known and target in {None, problem}:
                target = problem
                self._last = problem, case, seen
                raise Wrong(problem)

        try:
            look()
        except (Wrong, BaseExceptionGroup) as error:
            if self._last is None:
                raise error from None
            problem, case, seen = self._last
            self.findings.append(Finding(problem, case, seen.message[:500], seen.seconds))
            self.known.add(problem)
            self._last = None

    def look(self, case: Case) -> tuple[str | None, Seen]:
        """Render a case; return what is wrong with its end, or None."""
        again = _chosen(case)
        seen = self.bench.run(case, last=again)
        self.outcomes[seen.outcome] += 1
        if seen.outcome is Outcome.INVALID:
            self.refusals[shape(seen.message)[:60]] += 1
        self.slowest = max(self.slowest, seen.seconds)
        problem = wrong(case, seen)
        if problem is None and again and seen.outcome is Outcome.OK:
            other = self.bench.run(case)
            if (other.outcome, other.artifact) != (seen.outcome, seen.artifact):
                problem = "the same spec gave other bytes"
        return problem, seen


def _chosen(case: Case) -> bool:
    return hashlib.sha256(f"{case.spec}{case.config}".encode()).digest()[0] % _TWICE == 0


def until(seconds: float) -> Callable[[], bool]:
    """Return a question that is answered with yes once so many seconds are over."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end
