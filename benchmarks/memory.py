"""How much memory do the supervisor and an idle child take, and does it grow with the jobs that were done?

The slope is fitted through samples of the second half: what a process fills once is no leak. Floor: a bare interpreter
with psycopg, and the same without. The child is measured as root only: its own user may not look into it.
"""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.driver import NOOPS, Connection, connect, database, events, free_port, service
from benchmarks.figure import Figure, Goal
from benchmarks.processes import child_pss, rss, slope
from benchmarks.size import Size

MEGABYTE = 1024**2
SAMPLES = 20


def measure(size: Size) -> list[Figure]:
    """Run the jobs in portions and look after each."""
    jobs = size(100_000, 3_000, 60)
    with (
        database() as server,
        connect(server.url()) as client,
        service(server.url(), HTTP_PORT=free_port(), RENDER_POLLING_INTERVAL=3600) as supervisor,
    ):
        client.execute("listen render_events")
        _portion(client, SAMPLES)
        children = _may_look_into_children(supervisor.pid)
        supervisor_before, child_before = rss(supervisor.pid), _child(supervisor.pid) if children else 0.0
        resident, shares = [], []
        for portion in range(1, SAMPLES + 1):
            _portion(client, jobs // SAMPLES)
            done = portion * (jobs // SAMPLES)
            resident.append((float(done), float(rss(supervisor.pid))))
            if children:
                shares.append((float(done), _child(supervisor.pid)))
    floor = _bare("import psycopg")
    figures = [_figure("resident memory of the supervisor", jobs, supervisor_before, resident, floor, 80)]
    if children:
        figures.append(_figure("idle child's share of memory", jobs, child_before, shares, _bare(""), 15))
    return figures


def _may_look_into_children(pid: int) -> bool:
    """Whether this user may read a child's smaps_rollup: a child is not dumpable, so the file is root's."""
    try:
        _child(pid)
    except PermissionError as error:
        print(f"memory: no figure for an idle child, only root may read its share ({error})", file=sys.stderr)
        return False
    return True


def _portion(client: Connection, jobs: int) -> None:
    client.execute(NOOPS, [jobs])
    events(client, jobs)


def _child(pid: int) -> float:
    """Return the largest idle child's share, once there is one: the last job may just be ending."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if shares := child_pss(pid):
            return float(max(shares))
        time.sleep(0.01)
    raise RuntimeError("a service without work must have an idle child, it has none")


def _figure(
    question: str, jobs: int, before: float, samples: list[tuple[float, float]], floor: float, goal: float
) -> Figure:
    growth = slope(samples[len(samples) // 2 :])
    return Figure(
        f"{question} after {jobs:,} jobs",
        samples[-1][1] / MEGABYTE,
        "MB",
        floor / MEGABYTE,
        {"before": before / MEGABYTE, "bytes a job": growth},
        (Goal("value", at_most=goal),),
        {"samples": samples},
    )


def _bare(statement: str) -> float:
    """Return the resident memory of an interpreter that did nothing but this."""
    code = f"{statement}\nprint(open('/proc/self/statm').read().split()[1])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(said.stdout) * 4096
