"""How many statements and transactions does a day of work cost, and what did the system that is replaced send for it?

The day of `trace` is replayed in compressed time, with the polling interval compressed as much. Jobs are not compressed:
so that those of a real day, a second apart, do not fall together and become cheaper than they are, they are `noop`s,
which take about as little of the compressed time as a render does of the real one. Floor: two statements for each
arrival, one for each poll.

The replaced system is simulated on the same trace: one worker that looks for a job once a second, one statement a look
and one to complete each job, no maintenance, no monitoring; its clock is stepped, so that it takes no day. Its own figure
was 160,000 statements a night, with all that this leaves out.
"""

from __future__ import annotations

import time

from benchmarks import replaced
from benchmarks.counted import Count, Counted, counted
from benchmarks.driver import events, service
from benchmarks.figure import Figure, Goal
from benchmarks.size import Size
from benchmarks.trace import HOUR, Arrival, between, day, is_night

POLLS_AN_HOUR = 60
NIGHT_GOAL = 480
Stretch = tuple[float, float]


def measure(size: Size) -> list[Figure]:
    """Replay the night, then the working day, and let the simulated system do the same."""
    speed = size(144.0, 900.0, 900.0)
    stretches: tuple[Stretch, ...] = size(
        ((0.0, 6.0), (6.0, 22.0), (22.0, 24.0)), ((2.0, 3.0), (10.0, 11.0)), ((10.0, 10.1),)
    )
    found: list[tuple[Stretch, list[Arrival], Count]] = []
    with counted() as rig:
        replaced.install(rig)
        with service(rig.service_url, RENDER_POLLING_INTERVAL=POLLS_AN_HOUR / speed):
            rig.quiet(POLLS_AN_HOUR / speed / 4, at_most=2)
            for stretch in stretches:
                arrivals = between(day(), *stretch)
                found.append((stretch, arrivals, _replay(rig, arrivals, stretch, speed)))
        theirs = [replaced.replay(rig, arrivals, stretch) for stretch, arrivals, _ in found]
    figures = []
    for name, night in (("night", True), ("day", False), ("night and day", None)):
        parts = [
            (stretch, arrivals, ours, their)
            for (stretch, arrivals, ours), their in zip(found, theirs, strict=True)
            if night is None or is_night(stretch[0]) is night
        ]
        if parts:
            figures.append(_figure(name, parts, speed))
    return figures


def _replay(rig: Counted, arrivals: list[Arrival], stretch: Stretch, speed: float) -> Count:
    """Enqueue each arrival at its time and wait for the end of the stretch and of all jobs."""
    rig.reset()
    started = time.monotonic()
    statement = (
        "select count(enqueue_render('noop', '{}', run_at => case when %(delay)s > 0 "
        "then clock_timestamp() + %(delay)s * interval '1 second' end)) from generate_series(1, %(jobs)s)"
    )
    for arrival in arrivals:
        _until(started + (arrival.second - stretch[0] * HOUR) / speed)
        rig.client.execute(statement, {"delay": arrival.delay / speed, "jobs": arrival.jobs})
    _until(started + (stretch[1] - stretch[0]) * HOUR / speed)
    events(rig.client, sum(arrival.jobs for arrival in arrivals))
    return rig.read()


def _until(moment: float) -> None:
    if (left := moment - time.monotonic()) > 0:
        time.sleep(left)


def _figure(name: str, parts: list[tuple[Stretch, list[Arrival], Count, Count]], speed: float) -> Figure:
    hours = sum(end - start for (start, end), *_ in parts)
    jobs = sum(arrival.jobs for _, arrivals, *_ in parts for arrival in arrivals)
    arrivals = sum(len(each) for _, each, *_ in parts)
    ours, theirs = sum(part[2].server for part in parts), sum(part[3].wire.statements for part in parts)
    details: dict[str, float] = {"jobs": jobs, "hours": hours, "replaced": theirs, "replaced to ours": theirs / ours}
    for part in parts:
        for key, value in part[2].details().items():
            details[key] = details.get(key, 0.0) + value
    # The goal is that of an idle night; two statements for each job that came all the same.
    goal = Goal("value", at_most=NIGHT_GOAL * hours / 8 + 2 * jobs)
    return Figure(
        f"statements of {hours:g} h of the trace ({name}), {speed:g} times as fast",
        ours,
        "statements",
        2 * arrivals + POLLS_AN_HOUR * hours,
        details,
        (goal,) if name == "night" else (),
        {"texts": {text: calls for part in parts for text, calls in part[2].texts.items()}},
    )
