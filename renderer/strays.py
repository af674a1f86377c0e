"""Processes that lost their parent and became ours: a process that is a subreaper (prctl(2)) ends them itself."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Set as AbstractSet
from pathlib import Path

_SECONDS = 0.5


def children() -> set[int]:
    """Return the processes that are children of this one, dead ones that nobody waited for among them."""
    listed = Path(f"/proc/self/task/{os.getpid()}/children")
    return {int(pid) for pid in listed.read_text(encoding="ascii").split()}


def kill_all_but(known: AbstractSet[int]) -> None:
    """Kill and reap every child that is not among the known ones, and what comes to us when it ends.

    Processes that fork as fast as they are killed must not hold up everybody else: after a moment the rest is left for the
    next time.
    """
    deadline = time.monotonic() + _SECONDS
    while (strays := children() - known) and time.monotonic() < deadline:
        # All of them first: one that is still alive while another is waited for goes on forking.
        for pid in strays:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in strays:
            os.waitpid(pid, 0)
