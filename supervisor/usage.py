"""What an attempt used: what the child says of it as far as that can be true, or what the kernel counted when it ended."""

from __future__ import annotations

import os
from typing import Any

from supervisor.child_process import ExitStatus
from supervisor.memory import ALLOWANCE, MemorySample

_PROCESSORS = os.cpu_count() or 1


def cpu_seconds(reply: dict[str, Any] | None, status: ExitStatus | None, before: float, seconds: float) -> float | None:
    """Return the processor time of an attempt that took `seconds`; `before` is what its child had used until then."""
    cpu = (reply or {}).get("cpu_seconds")
    if status is not None:
        cpu = None if status.cpu_seconds is None else max(0.0, status.cpu_seconds - before)
    if not isinstance(cpu, int | float) or not cpu >= 0:
        return None
    # As many processors as there are, and the clock's own coarseness.
    return min(float(cpu), seconds * _PROCESSORS + 1)


def peak_memory(reply: dict[str, Any] | None, status: ExitStatus | None, sample: MemorySample) -> int | None:
    """Return the largest resident memory of an attempt, in bytes: the larger of what was seen and what is said."""
    peak, most = (reply or {}).get("peak_memory_bytes"), sample.base + sample.limit + ALLOWANCE
    if status is not None:
        peak, most = status.peak_memory_bytes, 1 << 50
    said = min(peak, most) if isinstance(peak, int) and peak >= 0 else 0
    return max(said, sample.peak, sample.base) or None
