"""The system that is replaced, in outline: one worker that looks for a job once a second. See `day`."""

from __future__ import annotations

from benchmarks.counted import Count, Counted
from benchmarks.driver import connect
from benchmarks.trace import HOUR, Arrival

LOOKS = 1.0
"""Seconds between two looks."""
FETCH = """
update replaced_job set state = 'active' where id in (
    select id from replaced_job where state = 'created' and start_after <= %s
    order by start_after, id limit 1 for update skip locked)
returning id
"""


def install(rig: Counted) -> None:
    """Make its table."""
    rig.client.execute(
        "create table replaced_job (id bigint generated always as identity primary key, "
        "state text not null default 'created', start_after double precision not null)"
    )
    rig.client.execute("create index on replaced_job (start_after, id) where state = 'created'")


def replay(rig: Counted, arrivals: list[Arrival], stretch: tuple[float, float]) -> Count:
    """Step its clock over the stretch: enqueue what has come, look, complete what was found, look again."""
    rig.reset()
    waiting = list(reversed(arrivals))
    with connect(rig.service_url) as worker:
        second = stretch[0] * HOUR
        while second < stretch[1] * HOUR or waiting:
            while waiting and waiting[-1].second <= second:
                arrival = waiting.pop()
                rig.client.execute(
                    "insert into replaced_job (start_after) select %s from generate_series(1, %s)",
                    [arrival.second + arrival.delay, arrival.jobs],
                )
            while row := worker.execute(FETCH, [second]).fetchone():
                worker.execute("update replaced_job set state = 'completed' where id = %s", [row[0]])
            second += LOOKS
    return rig.read()
