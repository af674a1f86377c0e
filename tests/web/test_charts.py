"""The charts: what happened lies in the right minute, and is told in words too."""

from __future__ import annotations

import pytest

from supervisor.monitor.recent import Recent
from supervisor.web.pages import charts
from supervisor.web.pages.templates import bytes_text, render, seconds_text

NOW = 100_000 * 60.0 + 30
"""In the middle of a minute."""


def hour(*ends: tuple[float, bool]) -> list[charts.Minute]:
    """Return the hour in which attempts ended so many seconds ago, well or not."""
    recent = Recent()
    for ago, well in sorted(ends, reverse=True):
        recent.claimed(1, ago / 100, NOW - ago)
        recent.ended(1.0, NOW - ago, well=well)
    return charts.minutes(recent.slices(NOW, 3600), NOW)


def test_each_end_lies_in_its_minute() -> None:
    """Now, half a minute ago, and at the far end of the hour."""
    found = hour((0, True), (5, False), (40, True), (59 * 60, True))
    told = {minute.ago: (minute.completed, minute.failed) for minute in found if minute.claimed}
    assert told == {0: (1, 1), 1: (1, 0), 59: (1, 0)}
    assert [minute.ago for minute in found] == list(range(59, -1, -1))


def test_a_bar_stays_where_it_is_while_its_minute_goes_on() -> None:
    """A chart that shifted with each look would show nothing but that time passes."""
    recent = Recent()
    recent.ended(1.0, NOW, well=True)
    looks = [charts.throughput(charts.minutes(recent.slices(NOW + n, 3600), NOW + n)).columns for n in (0, 10, 29)]
    assert looks[0] == looks[1] == looks[2]


def test_failed_ones_stand_on_completed_ones() -> None:
    """Both parts are as long as they should be, and the words say the numbers."""
    chart = charts.throughput(hour(*[(0, True)] * 6, *[(1, False)] * 4))
    (column,) = chart.columns
    completed, failed = column.bars
    assert column.words == "this minute: 6 completed, 4 failed"
    assert (completed.name, failed.name) == ("completed", "failed")
    assert failed.y + failed.height == pytest.approx(completed.y, abs=0.2)
    assert completed.height / failed.height == pytest.approx(1.5, rel=0.02)
    assert chart.summary.startswith("In the last hour 6 attempts completed and 4 failed; the busiest minute had 10")


def test_an_hour_of_nothing_has_charts_too() -> None:
    """Axes, and words for it."""
    empty = hour()
    assert charts.throughput(empty).columns == charts.waits(empty).columns == ()
    assert charts.waits(empty).summary == "No job was claimed in the last hour."
    drawn = render("parts/charts.html", charts=(charts.throughput(empty), charts.waits(empty)))
    assert drawn.count("<svg") == drawn.count("<title id=") == drawn.count("<desc id=") == 2


@pytest.mark.parametrize("wait", [0.0, 0.004, 0.01, 0.0101, 0.99, 1, 7, 59, 61, 86400.0])
def test_no_bar_leaves_its_chart(wait: float) -> None:
    """Whatever the longest wait is."""
    recent = Recent()
    recent.claimed(1, wait, NOW)
    chart = charts.waits(charts.minutes(recent.slices(NOW, 3600), NOW))
    (bar,) = chart.columns[0].bars
    assert chart.lines[-1][0] - 0.2 <= bar.y < bar.y + bar.height <= chart.bottom + 0.2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.0042, "4 ms"),
        (1.25, "1.2 s"),
        (60, "1 min"),
        (61.4, "1 min 1 s"),
        (3600, "1 h"),
        (90_061, "1 d 1 h"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    """In the two largest units."""
    assert seconds_text(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(None, "-"), (0, "0 B"), (1023, "1023 B"), (1536, "1.5 KB"), (2**29, "512 MB"), (2**40, "1 TB")]
)
def test_sizes(count: int | None, text: str) -> None:
    """In the largest unit."""
    assert bytes_text(count) == text
