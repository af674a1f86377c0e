"""How much of a processor does an idle service take, and how often is it woken?

At the default polling interval, over all its processes, once it has gone quiet. Floor: none; something that wakes up
without need shows in the wake-ups.
"""

from __future__ import annotations

import time

from benchmarks.driver import database, free_port, service
from benchmarks.figure import Figure, Goal
from benchmarks.processes import family, use
from benchmarks.size import Size

SETTLE = 3.0


def measure(size: Size) -> list[Figure]:
    """Leave it alone and read what the scheduler counted."""
    seconds = size(180.0, 6.0, 0.5)
    with database() as server, service(server.url(), HTTP_PORT=free_port()) as supervisor:
        time.sleep(size(SETTLE, 1.5, 0.2))
        processes = family(supervisor.pid)
        before = [use([process]) for process in processes]
        time.sleep(seconds)
        parts = [use([process]).since(start) for process, start in zip(processes, before, strict=True)]
        names = [" ".join(process.cmdline())[:60] for process in processes]
    return [
        Figure(
            f"processor time of an idle service, over {seconds:g} s",
            sum(part.cpu_seconds for part in parts) / seconds * 100,
            "% of a core",
            None,
            {
                "supervisor": parts[0].cpu_seconds / seconds * 100,
                "wake-ups a minute": sum(part.wake_ups for part in parts) / seconds * 60,
                "supervisor's wake-ups a minute": parts[0].wake_ups / seconds * 60,
            },
            (Goal("value", at_most=0.1),),
            {
                "processes": [
                    {"name": name, "cpu_ms": part.cpu_seconds * 1000, "wake_ups": part.wake_ups}
                    for name, part in zip(names, parts, strict=True)
                ]
            },
        )
    ]
