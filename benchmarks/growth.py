"""What takes longer the more there is, and from where on?

An empty database and one that is filled step by step, on one server, in turns: the floor is the empty one. `make bench-charts` draws
the ratio over the number of rows.
"""

from __future__ import annotations

from dataclasses import replace

from benchmarks.driver import connect, database
from benchmarks.figure import Figure
from benchmarks.fill import Load, fill
from benchmarks.scale import FULL, KIND, against_empty, full_database, in_turns
from benchmarks.size import Size

QUEUED = (1_000, 10_000, 100_000, 1_000_000, 3_000_000)
FINISHED = (1_000, 10_000, 100_000, 1_000_000, 5_000_000)
TENANTS = 1000


def measure(size: Size) -> list[Figure]:
    """Fill by steps with waiting jobs, then with finished ones."""
    steps, rounds = size(5, 3, 2), size(500, 60, 3)
    loads = [Load(f"{rows:,} queued", rows) for rows in QUEUED[:steps]]
    loads_finished = [Load(f"{rows:,} finished", 0, rows, TENANTS) for rows in FINISHED[:steps]]
    with database() as server:
        figures = []
        for grows in (loads, loads_finished):
            with full_database(server):
                before = Load("")
                for load in grows:
                    with connect(server.url(FULL)) as client:
                        fill(
                            client,
                            replace(load, queued=load.queued - before.queued, finished=load.finished - before.finished),
                            KIND,
                        )
                    before = load
                    taken = in_turns(server, rounds)
                    figures += [
                        against_empty(f"{what} with {load.name}", *taken[what], rows=load.queued + load.finished)
                        for what in ("enqueue", "exchange")
                    ]
        return figures
