"""What the processes of a service take: memory, processor time, and how often they were woken."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Use:
    """Totals over processes, since they started."""

    cpu_seconds: float
    wake_ups: int

    def since(self, before: Use) -> Use:
        """Return what came after `before`."""
        return Use(self.cpu_seconds - before.cpu_seconds, self.wake_ups - before.wake_ups)


def family(pid: int) -> list[psutil.Process]:
    """Return a service's processes: supervisor, fork server, children."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def use(processes: list[psutil.Process]) -> Use:
    """Add up what they used. By the scheduler's nanoseconds: ticks of 10 ms would be all of an idle minute."""
    seconds, wake_ups = 0.0, 0
    for process in processes:
        for task in Path(f"/proc/{process.pid}/task").iterdir():
            seconds += int((task / "schedstat").read_text().split()[0]) / 1e9
            status = (task / "status").read_text()
            wake_ups += int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])
    return Use(seconds, wake_ups)


def rss(pid: int) -> int:
    """Return resident bytes of one process."""
    return int(psutil.Process(pid).memory_info().rss)


def child_pss(pid: int) -> list[int]:
    """Return the bytes of each idle child that are its own share: pages that several map count in part."""
    found = []
    for process in psutil.Process(pid).children(recursive=True):
        if "idle" in " ".join(process.cmdline()):
            text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
            found.append(int(text.partition("\nPss:")[2].split()[0]) * 1024)
    return found


def slope(points: list[tuple[float, float]]) -> float:
    """Return the least-squares slope through (x, y)."""
    mean_x, mean_y = (sum(axis) / len(points) for axis in zip(*points, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
