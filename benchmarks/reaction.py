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

from benchmarks.driver import Connection, alternately, connect, database, events, service, value
from benchmarks.figure import Figure, Goal, latency
from benchmarks.kinds import PLUGINS
from benchmarks.size import Size

BETWEEN = (0.2, 1.2)
"""Seconds until a delayed job is due: at any point of a second, as its notification tells the whole one only."""


def measure(size: Size) -> list[Figure]:
    """Measure all three in turn."""
    with (
        database() as server,
        service(
            server.url(),
            RENDER_POLLING_INTERVAL=3600,
            RENDER_PLUGINS=PLUGINS,
            RENDER_CONCURRENCY=2,
        ) as supervisor,
        connect(server.url()) as client,
        connect(server.url()) as echo,
    ):
        client.execute("listen render_events")
        echo.execute("listen floor")
        pieces = (
            lambda: _cancel(client, psutil.Process(supervisor.pid)),
            lambda: _delayed(client),
            lambda: _notify(client, echo),
        )
        alternately(size(3, 2, 1), *pieces)
        cancels, starts, floors = alternately(size(200, 8, 2), *pieces)
    return [
        latency("cancel_render of a running job to the death of its child", cancels, floors),
        latency(
            "a delayed job's start after it is due",
            starts,
            floors,
            Goal("value", at_most=10.0),
            Goal("p99", at_most=10.0),
        ),
    ]


def _cancel(client: Connection, supervisor: psutil.Process) -> float:
    """Start a job that never ends and cancel it; the time runs from before the statement, which commits by itself."""
    job_id = value(client, "select enqueue_render('hang', '{}')")
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
    job_id = value(
        client, "select enqueue_render('noop', '{}', run_at => clock_timestamp() + %s * interval '1 second')", seconds
    )
    events(client, 1)
    late = "select extract(epoch from started_at - run_at)::double precision from render_jobs where id = %s"
    return float(str(value(client, late, job_id)))


def _notify(client: Connection, echo: Connection) -> float:
    started = time.perf_counter()
    client.execute("notify floor")
    events(echo, 1)
    return time.perf_counter() - started
