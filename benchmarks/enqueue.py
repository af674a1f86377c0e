"""How many jobs a second does `enqueue_render` take, one by one, from 16 clients, and in bulk? Does 64 clients' work get lost?

Floor: a bare INSERT of the same row, with the same indexes and checks, into another table, in turns with it. The floor's
client makes the id, which the function does itself.
"""

from __future__ import annotations

import os
import time
import uuid

from benchmarks.clients import Parameters, hammer
from benchmarks.driver import Connection, alternately, connect, database, events, service
from benchmarks.figure import Figure, Goal
from benchmarks.size import Size
from supervisor.store.render_queue import RenderQueue
from supervisor.store.requests import RenderRequest

SPEC = (
    '{"objects": [{"type": "text", "x": 160, "y": 100, "text": "Hello", "fontSize": 48}], "metadata": {"duration": 2}}'
)
OURS = "select enqueue_render(kind => 'noop', spec => %s::jsonb, config => %s::jsonb)"
FLOOR = "insert into floor_job (id, kind, spec, config) values (%s, 'noop', %s::jsonb, %s::jsonb)"
BULK_FLOOR = "insert into floor_job (id, kind, spec, config) select u, 'noop', %s, '{}' from unnest(%s::uuid[]) u"
CHUNK = 1000


def measure(size: Size) -> list[Figure]:
    """Measure each way in turns with its floor."""
    rounds, batch, crowd_size = size(20, 3, 1), size(500, 100, 10), size(16, 16, 2)
    with database() as server, connect(server.url()) as client:
        client.execute("create table floor_job (like jobsupervisor.job including all) with (fillfactor = 70)")
        url = server.url()

        def alone(statement: str, parameters: Parameters) -> float:
            started = time.perf_counter()
            for _ in range(batch):
                client.execute(statement.encode(), parameters())
            return batch / (time.perf_counter() - started)

        def many(statement: str, parameters: Parameters) -> float:
            return hammer(url, statement, parameters, crowd_size, max(1, batch // 4))

        one, one_floor = alternately(rounds, lambda: alone(OURS, our_row), lambda: alone(FLOOR, floor_row))
        crowd, crowd_floor = alternately(size(6, 1, 1), lambda: many(OURS, our_row), lambda: many(FLOOR, floor_row))
        with RenderQueue(url) as queue:
            chunks = size(20, 3, 1)
            bulk, bulk_floor = alternately(chunks, lambda: _bulk(queue), lambda: _bulk_floor(client))
        client.execute("truncate jobsupervisor.job")
        return [
            _figure("enqueue_render, one by one", one, one_floor, Goal("ratio", at_least=0.9)),
            _figure(f"enqueue_render, {crowd_size} clients", crowd, crowd_floor, Goal("ratio", at_least=0.9)),
            _figure(f"enqueue_many, {CHUNK:,} a call", bulk, bulk_floor, Goal("value", at_least=50_000)),
            _none_lost(url, client, size(64, 64, 2), size(100, 20, 2)),
        ]


def our_row() -> list[object]:
    """Return what enqueue_render is told."""
    return [SPEC, "{}"]


def floor_row() -> list[object]:
    """Return the same row, with its id."""
    return [time_ordered(), SPEC, "{}"]


def time_ordered() -> uuid.UUID:
    """Return a UUID of version 7, as the function makes them: neighbours in time are neighbours in the index."""
    number = (time.time_ns() // 1_000_000 << 80) | int.from_bytes(os.urandom(10))
    return uuid.UUID(int=number & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62)


def _bulk(queue: RenderQueue) -> float:
    requests = [RenderRequest("noop", {"n": number}) for number in range(CHUNK)]
    started = time.perf_counter()
    queue.enqueue_many(requests)
    return CHUNK / (time.perf_counter() - started)


def _bulk_floor(client: Connection) -> float:
    ids = [time_ordered() for _ in range(CHUNK)]
    started = time.perf_counter()
    client.execute(BULK_FLOOR, ['{"n": 1}', ids])
    return CHUNK / (time.perf_counter() - started)


def _none_lost(url: str, client: Connection, clients: int, each: int) -> Figure:
    """Enqueue from many clients while a service works the jobs off; count what it finished."""
    expected = clients * (each + 1)
    client.execute("listen render_events")
    with service(url, RENDER_POLLING_INTERVAL=3600):
        rate = hammer(url, OURS, our_row, clients, each)
        events(client, expected)
        row = client.execute("select count(*) filter (where status = 'completed') from render_jobs").fetchone()
    lost = expected - (int(row[0]) if row else 0)
    return Figure(
        f"jobs lost of {expected:,} from {clients} clients",
        lost,
        "jobs",
        None,
        {"jobs/s, worked off meanwhile": rate},
        (Goal("value", at_most=0),),
    )


def _figure(question: str, rates: list[float], floors: list[float], goal: Goal) -> Figure:
    ours, floor = sorted(rates)[len(rates) // 2], sorted(floors)[len(floors) // 2]
    spread = {"lowest": min(rates), "highest": max(rates)}
    return Figure(question, ours, "jobs/s", floor, spread, (goal,))
