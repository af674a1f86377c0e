"""The numbers of an attempt: what its child says, as far as that can be true, or what the kernel counted when it ended.

Each number is bounded and rounded here, when it arrives. What leaves is a number that every column takes: a child may send
any number that JSON can hold, and PostgreSQL refuses some of them (1e-50 as `real`, true as `bigint`), and with the number
the whole statement that carries it.
"""

from __future__ import annotations

import os
from typing import Any

from supervisor.child_process import ExitStatus
from supervisor.memory import ALLOWANCE, MemorySample

_PROCESSORS = os.cpu_count() or 1
_PROGRESS_DIGITS = 4
_SECONDS_DIGITS = 6


def _number(said: object) -> float | None:
    """Return what was said as a number that is not negative; None for anything else, true and false among it."""
    if isinstance(said, bool) or not isinstance(said, int | float) or not said >= 0:
        return None
    return float(said)


def fraction(said: object) -> float | None:
    """Return a progress as it is stored, from 0 to 1 in steps of 0.0001; None for what is no such number."""
    number = _number(said)
    return None if number is None or number > 1 else round(number, _PROGRESS_DIGITS)


def cpu_seconds(reply: dict[str, Any] | None, status: ExitStatus | None, before: float, seconds: float) -> float | None:
    """Return the processor time of an attempt that took `seconds`; `before` is what its child had used until then."""
    cpu = (reply or {}).get("cpu_seconds")
    if status is not None:
        cpu = None if status.cpu_seconds is None else max(0.0, status.cpu_seconds - before)
    number = _number(cpu)
    if number is None:
        return None
    # As many processors as there are, and the clock's own coarseness.
    return round(min(number, seconds * _PROCESSORS + 1), _SECONDS_DIGITS)


def peak_memory(reply: dict[str, Any] | None, status: ExitStatus | None, sample: MemorySample) -> int | None:
    """Return the largest resident memory of an attempt, in bytes: the larger of what was seen and what is said."""
    peak, most = (reply or {}).get("peak_memory_bytes"), sample.base + sample.limit + ALLOWANCE
    if status is not None:
        peak, most = status.peak_memory_bytes, 1 << 50
    number = _number(peak) if isinstance(peak, int) else None
    said = 0 if number is None else int(min(number, most))
    return max(said, sample.peak, sample.base) or None
