"""How long from `enqueue_render` to the renderer's first line, to the news of the result, to a waiting client's answer?

One job at a time, to an idle supervisor. The kind tells the time of its first line by CLOCK_MONOTONIC, which all
processes of the machine share. Floor: what the database takes for the same two commits and the notifications between
them, with no job at all.
"""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import floors
from benchmarks.driver import Connection, alternately, connect, database, events, service, value
from benchmarks.figure import Figure, Goal, latency
from benchmarks.kinds import PLUGINS
from benchmarks.size import Size
from supervisor.store.render_queue import RenderQueue

BETWEEN = 0.01
"""Seconds between two jobs, in which the supervisor goes idle."""
STAMP = "select output_url from render_jobs where id = %s"


def measure(size: Size) -> list[Figure]:
    """Measure all alternately."""
    with (
        database() as server,
        service(server.url(), RENDER_POLLING_INTERVAL=3600, RENDER_PLUGINS=PLUGINS),
        connect(server.url()) as client,
        connect(server.url()) as echo,
        connect(server.url()) as waiter,
        RenderQueue(server.url()) as queue,
    ):
        waiter.execute("listen render_events")
        floors.prepare(client, echo)
        pieces = (
            lambda: _first_line(client, waiter),
            lambda: floors.claim(client, echo),
            lambda: _news(client, waiter),
            lambda: floors.round_trip(client, echo),
            lambda: _answer(queue, waiter),
        )
        alternately(size(20, 5, 2), *pieces)
        first, claim, news, trip, answer = alternately(size(2000, 100, 3), *pieces)
    return [
        latency(
            "enqueue to the renderer's first line",
            first,
            claim,
            Goal("value", at_most=2.0),
            Goal("p99", at_most=4.0),
        ),
        latency("enqueue to the news of the result", news, trip),
        latency("enqueue to the result in a client that waits", answer, trip, Goal("value", at_most=4.0)),
    ]


def _first_line(client: Connection, waiter: Connection) -> float:
    time.sleep(BETWEEN)
    started = time.monotonic_ns()
    job_id = value(client, "select enqueue_render('stamp', '{}')")
    events(waiter, 1)
    artifact = Path(urlsplit(value(client, STAMP, job_id)).path)
    return (int(artifact.read_text()) - started) / 1e9


def _news(client: Connection, waiter: Connection) -> float:
    time.sleep(BETWEEN)
    started = time.perf_counter()
    client.execute("select enqueue_render('noop', '{}')")
    events(waiter, 1)
    return time.perf_counter() - started


def _answer(queue: RenderQueue, waiter: Connection) -> float:
    time.sleep(BETWEEN)
    started = time.perf_counter()
    queue.wait(queue.enqueue("noop", {}))
    taken = time.perf_counter() - started
    events(waiter, 1)
    return taken
