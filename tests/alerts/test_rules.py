"""When an alert is raised, stands and ends, for every order of values and times."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from supervisor.alerts.rules import END_SHARE, REMIND_SECONDS, UNKNOWN_SECONDS, Change, Watch
from tests.alerts.samples import HOLD

RAISED, STANDING, ENDED, NO_LONGER_KNOWN = Change.RAISED, Change.STANDING, Change.ENDED, Change.NO_LONGER_KNOWN

THRESHOLD = 100.0
VALUES = st.sampled_from([0.0, 79.0, 80.0, 81.0, 100.0, 101.0, 500.0, None])
STEPS = st.sampled_from([0, 1, 5, 9, 10, 60, 3600])
HISTORY = st.lists(st.tuples(STEPS, VALUES), max_size=60)

Look = tuple[float, float | None, Change | None]


def watched(history: list[tuple[int, float | None]], watch: Watch) -> list[Look]:
    """Show a history to a watch; return each look with what it changed."""
    now, seen = 1000.0, list[Look]()
    for step, value in history:
        now += step
        seen.append((now, value, watch.look(value, now)))
    return seen


def held(looks: list[Look], *, over: bool) -> bool:
    """Whether the last looks, two at least, were all on one side for long enough."""
    run = list[float]()
    for now, value, _ in reversed(looks):
        if value is None or not (value > THRESHOLD if over else value <= THRESHOLD * END_SHARE):
            break
        run.append(now)
    return len(run) > 1 and run[0] - run[-1] >= HOLD


def test_an_alert_from_beginning_to_end() -> None:
    """A spike is none; a value that stays over is one alert, which the value between the two limits does not end."""
    seen = watched(
        [(1, 500.0), (1, 90.0), (1, 101.0), (5, 120.0), (5, 101.0), (60, 200.0)], watch := Watch(THRESHOLD, HOLD)
    )
    assert [change for _, _, change in seen] == [None, None, None, None, RAISED, None]
    seen = watched([(60, 81.0), (60, 100.0), (60, 80.0), (9, 10.0), (1, 80.0), (60, 0.0)], watch)
    assert [change for _, _, change in seen] == [None, None, None, None, ENDED, None]


@given(HISTORY)
def test_nothing_changes_at_the_first_sight(history: list[tuple[int, float | None]]) -> None:
    """Raised: over in looks in a row for the hold. Ended: at or below 80 % for as long."""
    seen = watched(history, Watch(THRESHOLD, HOLD))
    for end, (_, _, change) in enumerate(seen, 1):
        if change is RAISED:
            assert held(seen[:end], over=True)
        if change is ENDED:
            assert held(seen[:end], over=False)


@given(HISTORY)
def test_one_alert_at_a_time(history: list[tuple[int, float | None]]) -> None:
    """Raised and ended take turns, a reminder comes only in between, and no sooner than hours after the last word."""
    watch, stands, last = Watch(THRESHOLD, HOLD), False, 0.0
    for now, _, change in watched(history, watch):
        if change is STANDING:
            assert stands
            assert now - last >= REMIND_SECONDS
        elif change is not None:
            assert stands is (change is not RAISED)
            stands = not stands
        last = last if change is None else now
    assert (watch.raised_at is not None) is stands


@given(HISTORY)
def test_what_stays_is_noticed(history: list[tuple[int, float | None]]) -> None:
    """Whatever was before, a value that stays over has an alert, one that stays below has none, and none outlives its value."""
    for rest, stands in (
        ([(1, 101.0), (10, 101.0)], True),
        ([(1, 80.0), (10, 80.0)], False),
        ([(1, None), (int(UNKNOWN_SECONDS), None)], False),
    ):
        watch = Watch(THRESHOLD, HOLD)
        watched([*history, *rest], watch)
        assert (watch.raised_at is not None) is stands


@given(history=st.lists(st.tuples(STEPS, st.sampled_from([81.0, 100.0])), max_size=20), raised=st.booleans())
def test_hovering_changes_nothing(history: list[tuple[int, float | None]], *, raised: bool) -> None:
    """Between 80 % and 100 % of the threshold there is neither a new alert nor the end of one."""
    watch = Watch(THRESHOLD, HOLD)
    watched([(1, 101.0), (10, 101.0)] if raised else [], watch)
    assert {change for _, _, change in watched(history, watch)} <= {None, STANDING}
    assert (watch.raised_at is not None) is raised


@given(st.lists(st.tuples(st.integers(0, 4), VALUES), max_size=400))
def test_no_flood(history: list[tuple[int, float | None]]) -> None:
    """However the value jumps, and however often it is looked at, there is at most one word per hold."""
    told = [now for now, _, change in watched(history, Watch(THRESHOLD, HOLD)) if change is not None]
    assert all(after - before >= HOLD for before, after in itertools.pairwise(told))


def test_a_value_that_is_gone() -> None:
    """An alert outlives a gap, is given up after UNKNOWN_SECONDS without a value, and may be raised again."""
    watch = Watch(THRESHOLD, HOLD)
    seen = watched([(1, 101.0), (10, 101.0), (1, None), (599, None), (0, 101.0), (1, None), (599, None)], watch)
    assert [change for _, _, change in seen] == [None, RAISED, None, None, None, None, None]
    seen = watched([(600, None), (1, None), (1, 101.0), (10, 101.0)], Watch(THRESHOLD, HOLD))
    assert [change for _, _, change in seen] == [None, None, None, RAISED]


def test_reminders() -> None:
    """An alert that stands is told of again every four hours."""
    watch = Watch(THRESHOLD, HOLD)
    hourly = watched([(0, 101.0), (10, 101.0), *[(3600, 101.0)] * 9], watch)
    assert [change for _, _, change in hourly[2:]] == [*[None] * 3, STANDING, *[None] * 3, STANDING, None]


def test_a_threshold_of_nothing() -> None:
    """With a threshold of 0 anything at all is an alert, and nothing at all ends it."""
    watch = Watch(0, HOLD)
    assert [
        change for _, _, change in watched([(1, 0.0), (10, 0.0), (1, 1.0), (10, 1.0), (1, 0.0), (10, 0.0)], watch)
    ] == [
        *(None, None, None, RAISED),
        *(None, ENDED),
    ]


def test_another_threshold() -> None:
    """An alert stands on until the value is below the new threshold; time across the old one does not count for the new one."""
    watch = Watch(THRESHOLD, HOLD)
    watched([(1, 101.0), (10, 101.0)], watch)
    watch.judge_by(200.0, HOLD)
    assert [change for _, _, change in watched([(1, 170.0), (20, 170.0), (1, 101.0), (10, 101.0)], watch)] == [
        *[None] * 3,
        ENDED,
    ]
    watch = Watch(THRESHOLD, HOLD)
    watched([(1, 101.0)], watch)
    watch.judge_by(50.0, HOLD)
    assert [change for _, _, change in watched([(10, 60.0), (9, 60.0), (1, 60.0)], watch)] == [None, None, RAISED]


def test_another_hold() -> None:
    """It counts from the first look that was over."""
    watch = Watch(THRESHOLD, HOLD)
    watch.look(101.0, now=0.0)
    watch.judge_by(THRESHOLD, 2.0)
    assert watch.look(101.0, now=1.0) is None
    assert watch.look(101.0, now=2.0) is RAISED
