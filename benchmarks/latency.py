"""How long from `enqueue_render` to the news of the result, one `noop` at a time?

Floor: what the database itself takes for the same two commits and the notification between them, with no job at all.
"""

from __future__ import annotations

import time

import psycopg

from benchmarks.driver import Figure, alternately, database, events, percentile, service

ROUNDS = 300


def measure() -> Figure:
    """Measure both, alternately."""
    with (
        database() as server,
        service(server.url()),
        psycopg.connect(server.url(), autocommit=True) as client,
        psycopg.connect(server.url(), autocommit=True) as echo,
    ):
        client.execute("listen render_events")
        client.execute("create table floor (n integer)")

        def job() -> float:
            started = time.perf_counter()
            client.execute("select enqueue_render('noop', '{}')")
            events(client, 1)
            return time.perf_counter() - started

        def floor() -> float:
            started = time.perf_counter()
            client.execute("insert into floor values (1)")
            with echo.transaction():
                echo.execute("insert into floor values (2)")
                echo.execute("notify render_events")
            events(client, 1)
            return time.perf_counter() - started

        alternately(20, job, floor)
        jobs, floors = alternately(ROUNDS, job, floor)
    p50, p99 = percentile(jobs, 0.5), percentile(jobs, 0.99)
    floor50, floor99 = percentile(floors, 0.5), percentile(floors, 0.99)
    return Figure(
        "enqueue to result, noop, one at a time (p50 / p99)",
        f"{p50 * 1000:.2f} / {p99 * 1000:.2f} ms",
        f"{floor50 * 1000:.2f} / {floor99 * 1000:.2f} ms",
        f"{p50 / floor50:.2f} times",
    )
