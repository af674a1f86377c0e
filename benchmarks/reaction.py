"""How long from `cancel_render` of a running job to the death of its child, and from a delayed job's time to its start?

Both without a poll: the supervisor is idle, told by a notification, or sets its clock. Floor: a bare NOTIFY from one
connection to another, in the same run.
"""

from __future__ import annotations

import os
import random
import select
import time

import psutil
import psycopg

from benchmarks.driver import Figure, alternately, database, events, percentile, service

ROUNDS = 60
WARM_UP = 3
BETWEEN = (0.2, 1.2)
"""Seconds until a delayed job is due: at any point of a second, as its notification tells the whole one only."""

Connection = psycopg.Connection[tuple[object, ...]]


def measure() -> list[Figure]:
    """Measure all three in turn."""
    with (
        database() as server,
        service(
            server.url(),
            RENDER_POLLING_INTERVAL=3600,
            RENDER_PLUGINS="hang=benchmarks.kinds:hang",
            RENDER_CONCURRENCY=2,
        ) as supervisor,
        psycopg.connect(server.url(), autocommit=True) as client,
        psycopg.connect(server.url(), autocommit=True) as echo,
    ):
        client.execute("listen render_events")
        echo.execute("listen floor")
        pieces = (
            lambda: _cancel(client, psutil.Process(supervisor.pid)),
            lambda: _delayed(client),
            lambda: _notify(client, echo),
        )
        alternately(WARM_UP, *pieces)
        cancels, starts, floors = alternately(ROUNDS, *pieces)
    return [
        _figure("cancel_render of a running job to the death of its child (p50 / p95)", cancels, floors),
        _figure("a delayed job's start after it is due (p50 / p95)", starts, floors),
    ]


def _cancel(client: Connection, supervisor: psutil.Process) -> float:
    """Start a job that never ends and cancel it; the time runs from before the statement, which commits by itself."""
    job_id = _value(client, "select enqueue_render('hang', '{}')")
    pidfd = os.pidfd_open(_child_with(supervisor, str(job_id)).pid)
    try:
        started = time.perf_counter()
        client.execute("select cancel_render(%s)", [job_id])
        select.select([pidfd], [], [])
        taken = time.perf_counter() - started
    finally:
        os.close(pidfd)
    events(client, 1)
    return taken


def _child_with(supervisor: psutil.Process, job_id: str) -> psutil.Process:
    """Wait for the child whose title names the job."""
    pause = select.poll()
    while True:
        for process in supervisor.children(recursive=True):
            if job_id in " ".join(process.cmdline()):
                return process
        pause.poll(5)


def _delayed(client: Connection) -> float:
    """Enqueue a job for later; the server's clock tells when it was due and when it was started."""
    seconds = random.uniform(*BETWEEN)  # noqa: S311 - any point of a second
    job_id = _value(
        client, "select enqueue_render('noop', '{}', run_at => clock_timestamp() + %s * interval '1 second')", seconds
    )
    events(client, 1)
    late = "select extract(epoch from started_at - run_at)::double precision from render_jobs where id = %s"
    return float(str(_value(client, late, job_id)))


def _notify(client: Connection, echo: Connection) -> float:
    started = time.perf_counter()
    client.execute("notify floor")
    events(echo, 1)
    return time.perf_counter() - started


def _value(client: Connection, statement: str, *parameters: object) -> object:
    row = client.execute(statement.encode(), parameters or None).fetchone()
    return row[0] if row else None


def _figure(question: str, times: list[float], floors: list[float]) -> Figure:
    p50, p95 = percentile(times, 0.5), percentile(times, 0.95)
    floor50, floor95 = percentile(floors, 0.5), percentile(floors, 0.95)
    return Figure(
        question,
        f"{p50 * 1000:.1f} / {p95 * 1000:.1f} ms",
        f"{floor50 * 1000:.2f} / {floor95 * 1000:.2f} ms",
        f"{p50 / floor50:.1f} times",
    )
