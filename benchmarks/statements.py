"""How many statements and transactions does a job cost: alone, back to back on one child, and under load?

Floor: a job cannot cost less than one statement that claims it and one that acknowledges it; back to back the two are one;
under load one statement does both for 50 jobs.
"""

from __future__ import annotations

import time

from benchmarks.counted import Count, Counted, counted
from benchmarks.driver import NOOPS, events, service
from benchmarks.figure import Figure, Goal
from benchmarks.kinds import PLUGINS
from benchmarks.size import Size

POLLING = 3600
"""Seconds: no poll falls into what is counted. Polls are counted by themselves, see `idle`."""
BETWEEN = 0.03
"""Seconds between isolated jobs, in which the supervisor goes idle."""
NAP = 0.03


def measure(size: Size) -> list[Figure]:
    """Count over isolated jobs, a row of short ones on one child, and many at once."""
    jobs, many = size(200, 40, 5), size(20_000, 2_000, 100)
    with counted() as rig:
        with service(rig.service_url, RENDER_POLLING_INTERVAL=POLLING):
            rig.quiet()
            isolated = rig.over(lambda: _isolated(rig, jobs))
            saturated = rig.over(lambda: _saturated(rig, many))
        with service(rig.service_url, RENDER_POLLING_INTERVAL=POLLING, RENDER_CONCURRENCY=1, RENDER_PLUGINS=PLUGINS):
            rig.quiet()
            row = rig.over(lambda: _row(rig, jobs))
    return [
        _figure("statements per isolated job", isolated, jobs, 2, 2),
        _figure(f"statements per job of {NAP * 1000:.0f} ms, back to back on one child", row, jobs, 1, 1),
        _figure(f"statements per job, {many:,} at once", saturated, many, 0.02, 0.02),
    ]


def _isolated(rig: Counted, jobs: int) -> None:
    for _ in range(jobs):
        rig.client.execute("select enqueue_render('noop', '{}')")
        events(rig.client, 1)
        time.sleep(BETWEEN)


def _row(rig: Counted, jobs: int) -> None:
    spec = f'{{"seconds": {NAP}}}'
    rig.client.execute("select count(enqueue_render('nap', %s)) from generate_series(1, %s)", [spec, jobs])
    events(rig.client, jobs)


def _saturated(rig: Counted, jobs: int) -> None:
    rig.client.execute(NOOPS, [jobs])
    events(rig.client, jobs)


def _figure(question: str, count: Count, jobs: int, floor: float, goal: float) -> Figure:
    # What stands at the edges of the stretch (the arming of a supervisor that goes idle) is not a job's.
    bound = Goal("value", at_most=goal + 3 / jobs)
    return Figure(
        question,
        count.server / jobs,
        "statements",
        floor,
        count.details(jobs),
        (bound,),
        {"texts": count.texts, "messages": dict(count.wire.messages)},
    )
