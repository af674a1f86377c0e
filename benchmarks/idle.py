"""How many statements and transactions does an idle hour cost, with few children and with many?

Counted over a stretch with a shorter polling interval, and extrapolated: polls that were sent, times the polls of an hour
at the default of 60 s. Retention, once in six hours, has its question asked by a poll; what it does where there is old work or
an artifact is not in it. The whole form also lets a service idle for real, at the default, over the first round of the
retention, and extrapolates from minutes to the hour. Floor: one statement a poll; a
supervisor that sent nothing would not be known to live.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType

from benchmarks.counted import TOLD, Count, Counted, counted
from benchmarks.driver import service
from benchmarks.figure import Figure, Goal
from benchmarks.size import Size

POLLS_AN_HOUR = 60
NIGHT_HOURS = 8
GOALS = (Goal("value", at_most=60), Goal("night", at_most=480))


def measure(size: Size) -> list[Figure]:
    """Count the same stretch with one child and with several."""
    polling, polls = size(2.0, 0.5, 0.5), size(60, 8, 3)
    figures = []
    with counted() as rig:
        for children in size((1, 2, 16), (1, 8), (1,)):
            with service(rig.service_url, RENDER_POLLING_INTERVAL=polling, RENDER_CONCURRENCY=children):
                rig.quiet(polling / 4)
                count = _stretch(rig, polling, polls)
            question = f"statements per idle hour, {children} children, from {polls} polls"
            figures.append(_figure(question, count, polls / POLLS_AN_HOUR))
        minutes = size(15, 0, 0)
        if minutes:
            figures.append(_real(rig, minutes))
    return figures


def _real(rig: Counted, minutes: int) -> Figure:
    """Idle at the default; here the server's own count of transactions can be waited for, too."""
    with service(rig.service_url):
        rig.quiet(2)
        before = rig.server_transactions()
        count = _stretch(rig, 60.0, minutes)
        time.sleep(TOLD)
        transactions = rig.server_transactions() - before
    question = f"statements per idle hour, from {minutes} minutes at the default"
    # Of the longer time since the start went quiet: up to one poll more than the stretch holds.
    return _figure(question, count, minutes / 60, {"transactions by the server, in all": transactions})


def _stretch(rig: Counted, polling: float, polls: int) -> Count:
    """Count over so many polling intervals, from the middle of one on: a poll more or less is no accident then."""
    before = rig.proxy.counts.statements
    while rig.proxy.counts.statements == before:
        time.sleep(polling / 50)
    time.sleep(polling / 2)
    return rig.over(lambda: time.sleep(polling * polls))


def _figure(question: str, count: Count, hours: float, more: Mapping[str, float] = MappingProxyType({})) -> Figure:
    hourly = count.server / hours
    return Figure(
        question,
        hourly,
        "statements",
        POLLS_AN_HOUR,
        {"night": hourly * NIGHT_HOURS, **count.details(hours), **more},
        GOALS,
        {"texts": count.texts, "extrapolated_from_hours": hours},
    )
