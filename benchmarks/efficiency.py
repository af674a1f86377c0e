"""How much of a plain process pool's throughput is left with queue, sandbox, database and publication around it?

The same inputs, the same renderers, all processors, in turns. Floor: the pool (`plainpool`), which writes files and
promises nothing.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence

from benchmarks import plainpool
from benchmarks.driver import Connection, alternately, connect, database, events, service
from benchmarks.figure import Figure, Goal
from benchmarks.inputs import Work, icons, videos
from benchmarks.size import Size
from supervisor.store.render_queue import RenderQueue
from supervisor.store.requests import RenderRequest


def measure(size: Size) -> list[Figure]:
    """Measure icons, then videos."""
    rounds = size(3, 1, 1)
    pictures = icons(size(2000, 120, 4))
    films = videos(size(20, 2, 1), *size((640, 360, 30), (320, 180, 15), (64, 36, 2)))
    with (
        tempfile.TemporaryDirectory() as directory,
        database() as server,
        service(server.url(), RENDER_POLLING_INTERVAL=3600),
        connect(server.url()) as client,
        RenderQueue(server.url()) as queue,
    ):
        client.execute("listen render_events")
        _queue(client, queue, pictures[:4])
        return [
            _figure(client, queue, directory, name, work, rounds, goal)
            for name, work, goal in (("SVG icons", pictures, 0.9), ("videos", films, 0.95))
        ]


def _figure(
    client: Connection,
    queue: RenderQueue,
    directory: str,
    name: str,
    work: Sequence[Work],
    rounds: int,
    goal: float,
) -> Figure:
    ours, pools = alternately(rounds, lambda: _queue(client, queue, work), lambda: plainpool.run(work, directory))
    return Figure(
        f"{len(work):,} {name} through the queue",
        len(work) / min(ours),
        "renders/s",
        len(work) / min(pools),
        {"slowest": len(work) / max(ours), "floor slowest": len(work) / max(pools)},
        (Goal("ratio", at_least=goal),),
    )


def _queue(client: Connection, queue: RenderQueue, work: Sequence[Work]) -> float:
    """Enqueue all and wait for all; the enqueuing counts. Raises where one was not completed."""
    started = time.perf_counter()
    ids = queue.enqueue_many([RenderRequest(each.kind, each.spec, each.config) for each in work])
    events(client, len(work))
    taken = time.perf_counter() - started
    row = client.execute(
        "select count(*) from render_jobs where id = any(%s) and status <> 'completed'", [ids]
    ).fetchone()
    if row and row[0]:
        raise RuntimeError(f"all renders of a benchmark must complete, {row[0]} of {len(work)} did not")
    return taken
