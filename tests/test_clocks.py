"""The database's clock as seen from here, and silences by our own: what a wall clock that is wrong cannot do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.clocks import DatabaseClock, Silences

EPOCH = 1_800_000_000.0
ANSWERS = st.lists(st.tuples(st.floats(0, 100), st.floats(0, 0.5), st.floats(0, 0.5)), min_size=1, max_size=20)


def told(clock: DatabaseClock, asked: float, there: float, back: float, epoch: float = EPOCH) -> None:
    """Have an answer come: the question takes `there` seconds to the server, the answer `back`."""
    clock.learn(epoch + asked + there, asked, asked + there + back)


def test_before_the_first_answer_nothing_is_known() -> None:
    """Then the host's own clock is all there is."""
    clock = DatabaseClock()
    assert clock.epoch is None
    assert clock.now(5) > 1_700_000_000


@given(ANSWERS)
def test_the_estimate_is_never_further_off_than_the_quickest_answer(answers: list[tuple[float, float, float]]) -> None:
    """Whatever the delays, the truth lies within half of the shortest way there and back, and what clocks may drift."""
    clock, now, shortest = DatabaseClock(), 1000.0, 1e9
    for pause, there, back in answers:
        now += pause
        told(clock, now, there, back)
        now += there + back
        shortest = min(shortest + 2 * 500e-6 * (pause + there + back), there + back)
        assert clock.epoch == pytest.approx(EPOCH, abs=shortest / 2 + 1e-5)
        assert clock.now(now) == pytest.approx(EPOCH + now, abs=shortest / 2 + 1e-5)


@pytest.mark.parametrize("step", [600.0, -600.0, 3.0, -3600.0])
def test_a_clock_that_is_set_is_believed_at_once(step: float) -> None:
    """An answer that contradicts all before it replaces them."""
    clock = DatabaseClock()
    for asked in range(10):
        told(clock, asked, 0.001, 0.001)
    told(clock, 20, 0.01, 0.01, EPOCH + step)
    assert clock.epoch == pytest.approx(EPOCH + step, abs=0.011)


def test_a_silence_is_measured_here() -> None:
    """What was seen, and for how long it has been the same; anything new begins anew; who is gone is forgotten."""
    now = 100.0
    silences = Silences(lambda: now)
    silences.learn({1: ("10", None), 2: ("11", "12")})
    now = 130.0
    assert [(one["id"], one["seen_for"], one["lost_for"]) for one in silences.observed()] == [(1, 30, 30), (2, 30, 30)]
    silences.learn({1: ("10", "130"), 2: ("11.5", "12")})
    now = 140.0
    assert [(one["id"], one["seen_for"], one["lost_for"]) for one in silences.observed()] == [(1, 40, 10), (2, 10, 40)]
    silences.learn({2: ("11.5", None)})
    assert [one["id"] for one in silences.observed()] == [2]
