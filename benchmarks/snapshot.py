"""Do claims stay as quick while somebody's transaction is left open under load?

An old snapshot keeps dead rows from being cleaned up, and each finished job leaves some where the next claim looks.
Jobs are enqueued and claimed as fast as one client and one supervisor's hand can, for some minutes, first without and
then with a transaction left open; the floor of both is the first tenth of the stretch without, before anything has piled
up. What it is by tenths is in the results. The stretch is BENCH_SNAPSHOT_MINUTES long, 10 in the whole form.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import psycopg

from benchmarks.driver import NOOPS, connect, database, value
from benchmarks.figure import Figure, Goal, percentile
from benchmarks.hand import Hand
from benchmarks.size import Size

BATCH = 20
TENTHS = 10
DEAD = "select n_dead_tup from pg_stat_user_tables where relid = 'jobsupervisor.job'::regclass"


def measure(size: Size) -> list[Figure]:
    """Measure without the transaction, then with it."""
    minutes = float(os.environ.get("BENCH_SNAPSHOT_MINUTES") or size(10.0, 0.05, 0.02))
    # Vacuum is to have its chance within the stretch; a real server looks once a minute.
    with database(autovacuum_naptime="5s" if size is Size.FULL else "1s") as server:
        stretches = [_stretch(server.url(), minutes * 60, opened=opened) for opened in (False, True)]
    floor = stretches[0].tenths[0]
    return [_figure(stretch, floor, minutes) for stretch in stretches]


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The seconds of its exchanges, by tenths of its time, and what it left."""

    opened: bool
    tenths: list[list[float]]
    jobs: int
    dead_rows: float


def _stretch(url: str, seconds: float, *, opened: bool) -> _Stretch:
    tenths: list[list[float]] = [[] for _ in range(TENTHS)]
    jobs = 0
    with connect(url) as client, psycopg.connect(url) as other:
        client.execute("truncate jobsupervisor.job, jobsupervisor.finished_job, jobsupervisor.attempt")
        if opened:
            other.execute("set transaction isolation level repeatable read")
            other.execute("select 1 from jobsupervisor.kind")
        with Hand(url, "snapshot", ["noop"]) as hand:
            # As many queued at any time: the queue's length is not the question.
            client.execute(NOOPS, [10 * BATCH])
            for _ in range(TENTHS):
                hand.exchange(BATCH)
                client.execute(NOOPS, [BATCH])
            started = time.perf_counter()
            while (elapsed := time.perf_counter() - started) < seconds:
                client.execute(NOOPS, [BATCH])
                tenths[min(TENTHS - 1, int(elapsed / seconds * TENTHS))].append(hand.exchange(BATCH))
                jobs += hand.holds
        dead_rows = float(value(client, DEAD) or 0)
    return _Stretch(opened, [tenth for tenth in tenths if tenth], jobs, dead_rows)


def _figure(stretch: _Stretch, floor: list[float], minutes: float) -> Figure:
    last = stretch.tenths[-1]
    return Figure(
        f"exchange of {BATCH} jobs, {'a' if stretch.opened else 'no'} transaction open for {minutes:g} minutes",
        percentile(last, 0.5) * 1000,
        "ms",
        percentile(floor, 0.5) * 1000,
        {
            "p99": percentile(last, 0.99) * 1000,
            "p99 ratio": percentile(last, 0.99) / percentile(floor, 0.99),
            "jobs": stretch.jobs,
            "dead rows": stretch.dead_rows,
        },
        (Goal("ratio", at_most=1.5), Goal("p99 ratio", at_most=1.5)),
        {"p50_by_tenths_ms": [percentile(tenth, 0.5) * 1000 for tenth in stretch.tenths]},
    )
