"""How many jobs are claimed ahead, and whether acks wait for others: only where jobs are so short that it pays."""

from __future__ import annotations

import pytest

from supervisor.pace import Pace


def paced(job: float, exchange: float = 0.005) -> Pace:
    """Return a pace that has seen many jobs and exchanges which took so many seconds."""
    pace = Pace()
    for _ in range(100):
        pace.job_took("svg", job)
        pace.exchange_took(exchange)
    return pace


def test_nothing_is_known_yet() -> None:
    """Before the first job nothing is claimed ahead, nothing waits, and no child holds more than one."""
    pace = Pace()
    assert (pace.prefetch(2), pace.gather(2), pace.ahead("svg", writes=True)) == (0, 0.0, 0)


@pytest.mark.parametrize("job", [0.05, 1.0, 3600.0])
def test_acks_of_long_jobs_do_not_wait(job: float) -> None:
    """Hardly another job would end meanwhile."""
    pace = paced(job)
    assert pace.gather(2) == 0.0
    assert pace.prefetch(2) <= 1
    assert pace.ahead("svg", writes=True) == 0


def test_acks_of_short_jobs_gather() -> None:
    """And enough jobs are in hand for as long."""
    pace = paced(0.004)
    assert pace.gather(2) > 0.0
    assert pace.prefetch(2) * 0.004 / 2 >= pace.gather(2)
    assert pace.ahead("svg", writes=True) > 0


def test_what_is_claimed_ahead_is_bounded() -> None:
    """Whatever the clock says of jobs that take no time: others may want them too."""
    assert paced(1e-9).prefetch(64) == paced(1e-12).prefetch(2) == 512
    assert paced(1e-9).ahead("svg", writes=True) == 4
    assert paced(1e-9).ahead("svg", writes=False) == 32


def test_many_children_gather_more_easily() -> None:
    """What counts is how many jobs end in that time on all of them."""
    assert paced(0.03).gather(2) == 0.0
    assert paced(0.03).gather(16) > 0.0
