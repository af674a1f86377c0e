"""The limits of one attempt that the kernel holds."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class JobLimits:
    """memory: bytes, above what the child maps before it starts; cpu: seconds; output: bytes of the largest file."""

    memory: int
    cpu: float
    output: int

    def apply(self, spent: float, *, final: bool) -> None:
        """Set them on this process, which has used `spent` seconds of a processor.

        `final` also lowers the hard limits: no way back, for a child that is used once.

        Memory is RLIMIT_DATA: private writable memory, which is what people mean by it. RLIMIT_AS stands on top, since
        RLIMIT_DATA does not see a reservation or a shared mapping; it is relative and wide, since libraries reserve
        far more than they use (setrlimit(2)).
        """
        size, data = mapped_bytes()
        self._set(resource.RLIMIT_DATA, data + self.memory, final=final)
        self._set(resource.RLIMIT_AS, size + 2 * self.memory + 1024 * 1024 * 1024, final=final)
        self._set(resource.RLIMIT_CPU, int(spent + self.cpu) + 1, final=final)
        # The same for every job of a service.
        self._set(resource.RLIMIT_FSIZE, self.output, final=True)

    @staticmethod
    def _set(limit: int, value: int, *, final: bool) -> None:
        _, hard = resource.getrlimit(limit)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # Where the operator's own hard limit is lower already, that one holds.
        with contextlib.suppress(ValueError):
            resource.setrlimit(limit, (value, value if final else hard))


class LimitsInForce:
    """The limits that hold for this process: a job like the one before it is not to cost eleven system calls.

    What is limited is relative to what the process maps and has spent when a job begins. Both are looked at anew, and the
    limits set anew, where the jobs since then may have moved them: they used up half a second, or touched a megabyte.
    Below that the next job has as much less.
    """

    _SECONDS = 0.5
    _FAULTS = 256  # pages

    def __init__(self) -> None:
        self._limits: Mapping[str, Any] | None = None
        self._spent = 0.0
        self._faults = 0

    def apply(self, limits: Mapping[str, Any], usage: resource.struct_rusage, *, final: bool) -> None:
        """Have the limits of a job in force: the fields of `JobLimits`, and what the process has used until now."""
        spent = usage.ru_utime + usage.ru_stime
        if (
            limits == self._limits
            and spent - self._spent < self._SECONDS
            and usage.ru_minflt - self._faults < self._FAULTS
        ):
            return
        JobLimits(**limits).apply(spent, final=final)
        self._limits, self._spent, self._faults = limits, spent, usage.ru_minflt


_PAGE = resource.getpagesize()
_at_birth = (0, 0)


def remember_mapped() -> None:
    """Read what this process maps, for the time when it can see no /proc."""
    global _at_birth  # noqa: PLW0603 - a process has one birth
    _at_birth = _read_mapped()


def mapped_bytes() -> tuple[int, int]:
    """Return the address space of this process and the private writable part of it.

    Where a child has no /proc it is what it mapped at its birth: what the jobs before left in it counts against the next.
    """
    try:
        return _read_mapped()
    except OSError:
        return _at_birth


def _read_mapped() -> tuple[int, int]:
    # statm, in pages (proc(5)). Read without a file object: this is done for each job.
    statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    try:
        fields = os.read(statm, 256).split()
    finally:
        os.close(statm)
    return int(fields[0]) * _PAGE, int(fields[5]) * _PAGE
