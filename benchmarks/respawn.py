"""How long from SIGKILL of a child until its successor is ready for a job, sandbox complete?

Floor: a bare process of this interpreter that forks and says that it is there, from the same signal on.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time

from benchmarks.figure import Figure, latency
from benchmarks.size import Size
from renderer.outcome import Outcome
from supervisor.child import Child
from supervisor.forkserver import ForkServer
from supervisor.memory import MemoryWatch
from supervisor.settings import load


async def _children(rounds: int) -> list[float]:
    server = ForkServer(load({"RENDER_SANDBOX": "best-effort"}))
    await server.start()
    watch = MemoryWatch()
    times = []
    try:
        child = Child(await server.spawn(1), watch, lambda _job, _fraction: None)
        await child.ready()
        for number in range(2, rounds + 2):
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


def measure(size: Size) -> Figure:
    """Measure both, one after the other."""
    rounds = size(300, 40, 3)
    return latency(
        "SIGKILL of a child to its successor ready",
        asyncio.run(_children(rounds)),
        [_bare() for _ in range(rounds)],
    )
