"""How the fork server makes a child and ends it: a process, in a process namespace of its own where that is possible."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from renderer import child, syscalls, wire
from renderer.needs import Needs
from renderer.registry import Kind
from renderer.sandbox import ForbiddenCalls, SandboxMode, steps
from renderer.sandbox.nest import Nest
from renderer.sandbox.steps import Birth


@dataclass(slots=True)
class Forked:
    """A child that runs: its process, the pidfd that becomes readable when it ends, and the socket to give it others over.

    It has a number once it was asked for, and was given its sockets.

    `keeper` is the first process of the child's namespace, if it has one: it only waits, and all of the namespace ends with
    it. The child itself is the second: the first would not be ended by signals of its own (pid_namespaces(7)), and a job
    that aborts would end some other way than it does elsewhere.
    """

    pid: int
    pidfd: int
    keeper: int | None
    waits_on: socket.socket
    number: int | None = None

    def give(self, number: int, descriptors: Sequence[int]) -> None:
        """Give it its number, its job socket and its log pipe.

        Raises ConnectionError when it is gone, another OSError when it was not reached and waits as before.
        """
        wire.send(self.waits_on, {"child": number}, descriptors)
        self.number = number
        self.waits_on.close()


class Forker:
    """Forks children that enter the sandbox of this fork server."""

    def __init__(
        self, mode: SandboxMode, forbidden_calls: ForbiddenCalls, inside: Nest, kinds: Mapping[str, Kind]
    ) -> None:
        self._mode = mode
        self._forbidden_calls = forbidden_calls
        self._nest = inside
        self._kinds = kinds
        self._signals = steps.handled_signals()
        self._users = itertools.count()

    def fork(self, needs: Needs, *, prove: bool = False) -> Forked:
        """Fork a child, in a process namespace of its own where that is possible. Raises OSError."""
        if not self._nest.entered:
            return self._fork_here(needs, prove=prove)
        keeper = syscalls.clone_waiting(syscalls.CLONE_NEWPID)
        try:
            with descriptor(os.pidfd_open(keeper)) as namespace:
                syscalls.enter_namespace(namespace, syscalls.CLONE_NEWPID)
            try:
                return self._fork_here(needs, keeper, prove=prove)
            finally:
                # The next one must not land in this namespace.
                syscalls.enter_namespace(self._nest.processes, syscalls.CLONE_NEWPID)
        except OSError:
            _end_namespace(keeper)
            raise

    def _fork_here(self, needs: Needs, keeper: int | None = None, *, prove: bool) -> Forked:
        ours, theirs = socket.socketpair()
        with theirs, contextlib.ExitStack() as failed:
            failed.callback(ours.close)
            birth = Birth(
                os.getpid(),
                next(self._users),
                theirs.fileno(),
                self._mode,
                self._nest,
                needs,
                self._forbidden_calls,
                self._signals,
                prove,
            )
            pid = os.fork()
            if pid == 0:
                child.main(birth, self._kinds)
            try:
                forked = Forked(pid, os.pidfd_open(pid), keeper, ours)
            except OSError:
                os.kill(pid, signal.SIGKILL)  # it is not reaped yet: the number is its own
                os.waitpid(pid, 0)
                raise
            failed.pop_all()
        return forked


def end(forked: Forked) -> tuple[int, Any]:
    """Kill what is left of a child's group, then reap it; return its status and what it used.

    In this order: a process that is not reaped keeps its number, so the group's number cannot be another's.
    """
    forked.waits_on.close()
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(forked.pid, signal.SIGKILL)
    _, status, usage = os.wait4(forked.pid, 0)
    if forked.keeper is not None:
        _end_namespace(forked.keeper)
    return status, usage


def _end_namespace(keeper: int) -> None:
    """End a process namespace: when its first process is reaped, nothing that was in it is left."""
    os.kill(keeper, signal.SIGKILL)  # ours, and not reaped yet: the number cannot be another's
    os.waitpid(keeper, 0)


@contextlib.contextmanager
def descriptor(number: int) -> Iterator[int]:
    """Yield a descriptor and close it."""
    try:
        yield number
    finally:
        os.close(number)
