"""Orphans: processes that become this one's because it is number 1 of its process namespace, as in a container.

Nobody else is there to wait for what lost its parent: what a command that an engine's `exec` or health check started left
behind, a fork server whose outer process was killed, or, without namespaces of their own, its children. Each would stay a
zombie and hold its number until the container ends. Outside of a container they go to the machine's first process, and
nothing of this is set up.

What this process started itself is waited for by who started it, and passed by here: its status is theirs, and its number
must not be given to another process while they may still send it a signal.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable

import psutil

_FIRST = 1
_started: set[int] = set()


def started(pid: int) -> None:
    """Note that somebody here waits for a process."""
    _started.add(pid)


def waited_for(pid: int) -> None:
    """Note that a process was waited for: its number may be anybody's from now on."""
    _started.discard(pid)


def reap_as_they_end(hear: Callable[[int, Callable[[], None]], None]) -> None:
    """Wait for every orphan that ends, from now on, where this process is number 1; `hear` has the loop act on a signal."""
    if os.getpid() == _FIRST:
        hear(signal.SIGCHLD, _reap)
        _reap()  # what ended before: no signal comes for it again


def _reap() -> None:
    # One signal may stand for several ends, so all are looked at. Those that live are not waited for.
    for child in psutil.Process().children():
        if child.pid not in _started:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child.pid, os.WNOHANG)
