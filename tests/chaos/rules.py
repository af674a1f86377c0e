"""The rules of docs/states.md, written a second time and from the other end: given the attempts, what may have become.

Pure. The database charges as it goes; here a job's attempts are read afterwards, and each step must have been allowed. One
thing is not in the list of attempts: whether a job was alone with its supervisor when that died, which makes the first
loss an offence. So offences are a range.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from renderer.outcome import OFFENCES, UNCHARGED, Outcome


@dataclass(frozen=True, slots=True)
class Attempt:
    """One row of `render_attempts` that ended."""

    number: int
    outcome: Outcome
    finished_at: datetime
    exit_signal: int | None


@dataclass(frozen=True, slots=True)
class Limits:
    """What a job was allowed."""

    attempts: int
    offences: int


def charged(attempts: Sequence[Attempt]) -> int:
    """Return how many attempts count."""
    return sum(attempt.outcome not in UNCHARGED for attempt in attempts)


def lives(attempts: Sequence[Attempt], redriven: Sequence[datetime]) -> list[list[Attempt]]:
    """Return the attempts by the lives of their job: each redrive begins another, with its charges forgiven."""
    found: list[list[Attempt]] = [[] for _ in range(len(redriven) + 1)]
    for attempt in attempts:
        found[sum(attempt.finished_at > moment for moment in redriven)].append(attempt)
    return found


def _offences(attempts: Sequence[Attempt]) -> tuple[int, int]:
    """Return the fewest and the most offences that these attempts can be."""
    offences = sum(attempt.outcome in OFFENCES for attempt in attempts)
    losses = sum(attempt.outcome is Outcome.LOST for attempt in attempts)
    return offences + max(0, losses - 1), offences + losses


def _must_end(attempts: Sequence[Attempt], limits: Limits) -> bool:
    """Whether no further attempt is allowed after these."""
    last = attempts[-1].outcome
    return (
        last in {Outcome.OK, Outcome.INVALID, Outcome.CANCELLED}
        or charged(attempts) >= limits.attempts
        or _offences(attempts)[0] >= limits.offences
    )


def _may_fail(attempts: Sequence[Attempt], limits: Limits) -> bool:
    """Whether the dead letters are the place for a job with these attempts."""
    return bool(attempts) and (
        attempts[-1].outcome is Outcome.INVALID
        or charged(attempts) >= limits.attempts
        or _offences(attempts)[1] >= limits.offences
    )


def broken(status: str, attempts: Sequence[Attempt], redriven: Sequence[datetime], limits: Limits) -> Iterator[str]:
    """Yield what the rules do not allow, for a job that is at its end."""
    if [attempt.number for attempt in attempts] != list(range(1, len(attempts) + 1)):
        yield f"its attempts are numbered {[attempt.number for attempt in attempts]}"
    *earlier, last = lives(attempts, redriven)
    for life in (*earlier, last):
        told = " ".join(attempt.outcome for attempt in life)
        for count in range(1, len(life)):
            if _must_end(life[:count], limits):
                yield f"it was tried again after {count} of its attempts ({told})"
    for life in earlier:
        if not _may_fail(life, limits):
            yield f"it was redriven from the dead letters, where it had no place ({[a.outcome.value for a in life]})"
    ends = [attempt.outcome for attempt in last]
    if status == "completed" and (not ends or ends[-1] is not Outcome.OK):
        yield f"it is completed and its last attempt was not ok ({ends})"
    if status != "completed" and Outcome.OK in ends:
        yield f"it is {status} and an attempt was ok ({ends})"
    if status == "failed" and not _may_fail(last, limits):
        yield f"it is among the dead letters, and has no place there ({ends})"
