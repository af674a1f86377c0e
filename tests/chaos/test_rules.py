"""The chaos run's own rules: what they let pass, and that a breach of each is noticed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from renderer.outcome import Outcome
from tests.chaos.rules import Attempt, Limits, broken, charged, lives

START = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = Limits(attempts=3, offences=2)


def attempts(*outcomes: str) -> list[Attempt]:
    """Return attempts that ended a minute after each other."""
    return [
        Attempt(number, Outcome(outcome), START + timedelta(minutes=number), None)
        for number, outcome in enumerate(outcomes, 1)
    ]


@pytest.mark.parametrize(
    ("status", "outcomes"),
    [
        ("completed", ["ok"]),
        ("completed", ["lost", "internal", "internal", "ok"]),
        ("completed", ["crash", "render_error", "ok"]),
        ("failed", ["invalid"]),
        ("failed", ["render_error", "bad_output", "render_error"]),
        ("failed", ["timeout", "memory"]),
        ("failed", ["lost", "lost", "lost"]),
        ("failed", ["lost", "crash"]),  # it was alone when its supervisor died
        ("cancelled", []),
        ("cancelled", ["lost", "cancelled"]),
    ],
)
def test_what_the_documented_rules_allow_passes(status: str, outcomes: list[str]) -> None:
    """Each way to an end that docs/states.md describes."""
    assert not list(broken(status, attempts(*outcomes), [], LIMITS))


@pytest.mark.parametrize(
    ("status", "outcomes"),
    [
        ("completed", ["render_error"]),
        ("completed", []),
        ("completed", ["ok", "ok"]),
        ("completed", ["invalid", "ok"]),
        ("completed", ["timeout", "crash", "ok"]),
        ("completed", ["lost", "lost", "lost", "ok"]),
        ("completed", ["render_error", "render_error", "render_error", "ok"]),
        ("failed", []),
        ("failed", ["ok"]),
        ("failed", ["internal", "internal", "internal"]),
        ("failed", ["crash"]),
        ("cancelled", ["ok"]),
    ],
)
def test_what_they_do_not_allow_is_noticed(status: str, outcomes: list[str]) -> None:
    """An attempt too many, a dead letter too early, a result of no or of two attempts."""
    assert list(broken(status, attempts(*outcomes), [], LIMITS))


def test_a_redrive_forgives_and_a_gap_is_noticed() -> None:
    """Each life of a job has its own charges; the numbers go through all of them."""
    all_of_them = attempts("timeout", "timeout", "timeout", "ok")
    redriven = START + timedelta(minutes=2, seconds=30)
    assert not list(broken("completed", all_of_them, [redriven], LIMITS))
    assert [charged(life) for life in lives(all_of_them, [redriven])] == [2, 2]
    assert list(broken("completed", all_of_them, [], LIMITS))
    assert list(broken("completed", all_of_them[1:], [redriven], LIMITS))
    too_early = START + timedelta(minutes=1, seconds=30)
    assert list(broken("failed", attempts("crash", "crash", "crash"), [too_early], LIMITS))
