"""Samples the resident memory of children while they have a job. No job, no timer.

RLIMIT_DATA holds private memory exactly; this finds what it does not count: shared mappings, what a library hides from it, and
the page tables: a page mapped in each gigabyte costs two more for the kernel's own book-keeping, which no limit counts. So the sample is compared with the job's limit above what the child had resident when it was
idle, with an allowance for the pages of libraries and fonts that a first render maps in.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

INTERVAL = 0.05
"""Seconds between two samples."""

_PAGE = os.sysconf("SC_PAGE_SIZE")

ALLOWANCE = 96 * 1024 * 1024
"""Bytes of library pages that are not held against the job (measured: skia, PyAV, numpy and resvg map 140 MB)."""


@dataclass(slots=True, eq=False)
class MemorySample:
    """The watch over one attempt. All in bytes.

    `ancestors` is for kinds that may start processes: what descends from these is summed with the child.
    """

    process: psutil.Process | None
    base: int
    limit: int
    on_excess: Callable[[MemorySample], None]
    ancestors: Sequence[psutil.Process] = ()
    peak: int = 0
    last: int = 0

    def begin(self, limit: int) -> None:
        """Watch over another attempt of the same child."""
        self.limit, self.peak, self.last = limit, 0, 0

    @property
    def above_base(self) -> int:
        """Resident memory that came with the job, at the last look."""
        return max(0, self.last - self.base)

    @property
    def starved(self) -> bool:
        """Whether the attempt stood close to its limit at the last look."""
        return self.above_base >= 0.8 * self.limit


def find(pid: int) -> psutil.Process | None:
    """Return the handle of a process, or None when it is gone. Costs a look into /proc: keep it."""
    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None


def resident(process: psutil.Process | None) -> int:
    """Return the resident bytes of a process with its page tables, 0 when it is gone."""
    try:
        if process is None:
            return 0
        if rss := int(process.memory_info().rss):
            return rss + _page_tables(f"/proc/{process.pid}/status")
        return _of_threads(process.pid)
    except (psutil.Error, OSError):
        return 0


def _page_tables(status: str) -> int:
    """Return the bytes of a process's page tables (proc(5)); 0 where the kernel does not say."""
    entry = os.open(status, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # The groups of the process stand before it, and may be many.
        _, found, rest = os.read(entry, 65536).partition(b"VmPTE:")
    finally:
        os.close(entry)
    return int(rest.split(maxsplit=1)[0]) * 1024 if found else 0


def _of_threads(pid: int) -> int:
    """Return the same as the threads have it: of a process whose main thread has ended nothing else tells."""
    most = 0
    with contextlib.suppress(OSError):  # it may be gone by now
        for task in Path(f"/proc/{pid}/task").iterdir():
            pages = int((task / "statm").read_text(encoding="ascii").split()[1])
            most = max(most, pages * _PAGE + _page_tables(f"{task}/status"))
    return most


def _resident_descendants(ancestors: Sequence[psutil.Process]) -> int:
    """Return the resident bytes of all that descends from some processes. Looks at every process of the machine."""
    found = set[psutil.Process]()
    for process in ancestors:
        with contextlib.suppress(psutil.Error):
            found.update(process.children(recursive=True))
    return sum(resident(process) for process in found)


class MemoryWatch:
    """All the attempts that run."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._watched: set[MemorySample] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, sample: MemorySample) -> None:
        """Watch an attempt until `remove`."""
        self._watched.add(sample)
        if self._timer is None:
            self._timer = self._loop.call_later(INTERVAL, self._look)

    def remove(self, sample: MemorySample) -> None:
        """Stop watching; the last one takes the timer with it."""
        self._watched.discard(sample)
        if not self._watched and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = self._loop.call_later(INTERVAL, self._look)
        for sample in list(self._watched):
            sample.last = resident(sample.process) + _resident_descendants(sample.ancestors)
            sample.peak = max(sample.peak, sample.last)
            if sample.last > sample.base + sample.limit + ALLOWANCE:
                sample.on_excess(sample)
