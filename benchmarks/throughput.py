"""How many `noop` jobs a second through sandboxed children, enqueued beforehand?

Floor: the database alone. One connection claims and acknowledges 50 rows of a bare table in one statement, again and
again, and nothing handles them.
"""

from __future__ import annotations

import time

from benchmarks.driver import NOOPS, Connection, connect, database, events, service
from benchmarks.figure import Figure, Goal
from benchmarks.size import Size

FLOOR = """
with done as (delete from floor where owner = 1 returning id),
kept as (insert into floor_done select id from done),
free as (select id from floor where owner is null order by id limit 50 for update skip locked)
update floor f set owner = 1 from free where f.id = free.id returning f.id
"""


def measure(size: Size) -> list[Figure]:
    """Measure both on one server, one after the other, for each number of jobs."""
    return [_measure(jobs) for jobs in size((2_000, 5_000, 20_000, 200_000), (2_000,), (200,))]


def _measure(jobs: int) -> Figure:
    with database() as server, connect(server.url()) as client:
        client.execute("create table floor (id bigint primary key, owner integer)")
        client.execute("create table floor_done (id bigint primary key)")
        client.execute("insert into floor select generate_series(1, %s)", [jobs])
        client.execute(NOOPS, [jobs])
        client.execute("vacuum analyze")
        floor = jobs / _floor(client)
        client.execute("listen render_events")
        # Held back until the service is there: with few jobs it would have done them all before it says so.
        client.execute("select pause_renders('noop')")
        with service(server.url()):
            started = time.perf_counter()
            client.execute("select resume_renders('noop')")
            events(client, jobs)
            rate = jobs / (time.perf_counter() - started)
    return Figure(f"{jobs:,} noop jobs, enqueued beforehand", rate, "jobs/s", floor, {}, (Goal("ratio", at_least=0.6),))


def _floor(client: Connection) -> float:
    started = time.perf_counter()
    while client.execute(FLOOR).fetchall():
        pass
    return time.perf_counter() - started
