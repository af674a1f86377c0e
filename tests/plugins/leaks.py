"""A test that leaves a process, a descriptor or a thread behind fails, with the list of what it left.

What the check gives a moment to end, it waits for: processes on their descriptors, threads by joining. The worker is a
subreaper: when a process dies, what it leaves running becomes our child instead of init's, and is found too.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests import prepared
from tests.plugins.databases import Servers

PR_SET_CHILD_SUBREAPER = 36
KEPT = set[int]()
"""Processes that a fixture of a wider scope keeps: what they start and end during a test is theirs."""


@dataclass(frozen=True, slots=True)
class Held:
    """What this process has at one moment, apart from the session's servers and its prepared process."""

    processes: frozenset[psutil.Process]
    descriptors: frozenset[tuple[int, str]]
    threads: frozenset[threading.Thread]

    def __le__(self, other: Held) -> bool:
        """Whether there is nothing that the other has not."""
        return (
            self.processes <= other.processes
            and self.descriptors <= other.descriptors
            and self.threads <= other.threads
        )


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption("--leak-grace", type=float, default=60.0, help="seconds that what a test started may take to end")


def pytest_configure() -> None:
    """Become a subreaper; so runs of the command may be forks of a prepared process."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    prepared.prepared = prepared.Prepared()


def pytest_unconfigure() -> None:
    """End the prepared process."""
    if prepared.prepared is not None:
        prepared.prepared.stop()
        prepared.prepared = None


@pytest.fixture(autouse=True)
def no_leaks(servers: Servers, pytestconfig: pytest.Config) -> Iterator[None]:
    """Compare what this process has before and after the test.

    Fixtures of a wider scope are set up before the first look and torn down after the second: what they hold is theirs.
    """
    grace = pytestconfig.getoption("--leak-grace")
    before = held(servers)
    yield
    after = held(servers)
    if after <= before:
        return
    leaks = [*_processes(before, after, grace), *_threads(before, after, grace), *_descriptors(before, servers)]
    if leaks:
        pytest.fail("the test left behind:\n" + "\n".join(leaks))


def held(servers: Servers) -> Held:
    """Look at what this process has."""
    ours = KEPT | {server.pid for server in servers.running()}
    locks = {lock for server in servers.running() for lock in server.locks}
    if prepared.prepared is not None and prepared.prepared.running:
        ours.add(prepared.prepared.pid)
        locks.add(prepared.prepared.descriptor)
    processes = set[psutil.Process]()
    for child in psutil.Process().children():
        if child.pid not in ours:
            processes.add(child)
            with contextlib.suppress(psutil.NoSuchProcess):
                processes.update(child.children(recursive=True))
    return Held(frozenset(processes), frozenset(_open_descriptors(locks)), frozenset(threading.enumerate()))


def _open_descriptors(ours: set[int]) -> Iterator[tuple[int, str]]:
    # All at once: the listing holds a descriptor of its own, which must be closed by the time we look at the targets.
    for entry in list(Path("/proc/self/fd").iterdir()):
        with contextlib.suppress(FileNotFoundError):
            if int(entry.name) not in ours:
                yield int(entry.name), str(entry.readlink())


def _processes(before: Held, after: Held, grace: float) -> Iterator[str]:
    new = after.processes - before.processes
    said = {process: _describe(process) for process in new}
    _, alive = psutil.wait_procs(new, timeout=grace)
    for process in alive:
        yield f"process {process.pid}: {said[process]}"
        # The next test must not pay for this one.
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=grace)


def _describe(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()) or process.name()
    except psutil.NoSuchProcess:
        return "(ended)"


def _threads(before: Held, after: Held, grace: float) -> Iterator[str]:
    for thread in after.threads - before.threads:
        thread.join(grace)
        if thread.is_alive():
            yield f"thread {thread.name}"


def _descriptors(before: Held, servers: Servers) -> Iterator[str]:
    if held(servers).descriptors - before.descriptors:
        # What nobody refers to any more was forgotten, not closed, but its own ResourceWarning says that better.
        gc.collect()
        for number, target in sorted(held(servers).descriptors - before.descriptors):
            yield f"descriptor {number}: {target}"
