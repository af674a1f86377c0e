"""How long from SIGKILL of a child until its successor is ready for a job, sandbox complete?

Floor: a bare process of this interpreter that forks and says that it is there, from the same signal on.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time

from benchmarks.driver import Figure, percentile
from renderer.outcome import Outcome
from supervisor.child import Child
from supervisor.forkserver import ForkServer
from supervisor.memory import MemoryWatch
from supervisor.settings import load

ROUNDS = 60


async def _children() -> list[float]:
    server = ForkServer(load({"RENDER_SANDBOX": "best-effort"}))
    await server.start()
    watch = MemoryWatch()
    times = []
    try:
        child = Child(await server.spawn(1), watch, lambda _job, _fraction: None)
        await child.ready()
        for number in range(2, ROUNDS + 2):
            started = time.perf_counter()
            child.kill(Outcome.CRASH, "benchmark")
            successor = Child(await server.spawn(number), watch, lambda _job, _fraction: None)
            await successor.ready()
            times.append(time.perf_counter() - started)
            await child.close()
            child = successor
        await child.close()
    finally:
        await server.stop()
    return times


def _bare() -> float:
    context = multiprocessing.get_context("fork")
    reader, writer = os.pipe()
    victim = context.Process(target=signal.pause)
    victim.start()
    started = time.perf_counter()
    victim.kill()
    successor = context.Process(target=os.write, args=(writer, b"x"))
    successor.start()
    os.read(reader, 1)
    taken = time.perf_counter() - started
    for process in (victim, successor):
        process.join()
    os.close(reader)
    os.close(writer)
    return taken


def measure() -> Figure:
    """Measure both, one after the other."""
    times = asyncio.run(_children())
    floors = [_bare() for _ in range(ROUNDS)]
    p50, p95, floor = percentile(times, 0.5), percentile(times, 0.95), percentile(floors, 0.5)
    return Figure(
        "SIGKILL of a child to its successor ready (p50 / p95)",
        f"{p50 * 1000:.1f} / {p95 * 1000:.1f} ms",
        f"{floor * 1000:.1f} ms",
        f"{p50 / floor:.1f} times",
    )
